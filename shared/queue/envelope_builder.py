"""Build the envelope of a verified callback. Whatever was on the wire, the envelope can be encoded."""

from string import printable
from typing import Final
from urllib.parse import quote, unquote_plus

from ackfirst.shared.accounts import Accounts
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.classify import fields_of, is_signed_by_parameters, message_id
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.identity import event_id
from ackfirst.shared.nexmo.reading import Reading
from ackfirst.shared.nexmo.sms_signature import base_string
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.verification import Verification

_MAX_INT: Final = 2**53  # what every JSON reader can hold


def build_envelope(
    callback: Callback, verification: Verification, *, accounts: Accounts, trace: str | None
) -> Envelope:
    """Build the envelope of a callback whose verdict is ``verified``: it has a reading and a family."""
    family, reading = verification.family, verification.reading
    assert family is not None  # noqa: S101 - part of the verdict, here for the type checker
    assert reading is not None  # noqa: S101 - as above
    account, application_id = verification.account, plain_text(verification.application_id)
    fields, query = fields_of(family, reading), _usable_query(callback, reading)
    return Envelope(
        id=event_id(family, account, fields, _content(family, reading, callback.body, query)),
        family=str(family),
        account=account,
        application_id=application_id,
        lane=accounts.lane_of(account, application_id),
        message_id=message_id(family, fields),
        received_at=callback.received_at,
        encoding=reading.encoding,
        content_type=plain_text(callback.content_type) or "",
        body=callback.body,
        query=_ascii_query(query),
        iat=_json_int(verification.iat),
        jti=plain_text(verification.jti),
        secret=verification.secret,
        trace=plain_text(trace),
    )


def _content(family: Family, reading: Reading, body: bytes, query: str) -> bytes:
    """Get what identifies an event that has no identifying fields.

    Of parameters it is what their ``sig`` covers: their bytes can be rearranged, or a form written as JSON, under the
    same ``sig``.
    """
    if family is Family.OTHER and is_signed_by_parameters(family, reading.fields):
        return base_string(fields_of(family, reading))
    return query.encode("utf-8", "surrogatepass") if reading.encoding == "query" else body


def plain_text(text: str | None) -> str | None:
    """Write each surrogate, which neither JSON nor Redis can hold, as a backslash escape."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def _usable_query(callback: Callback, reading: Reading) -> str:
    """Get those parameters of the query that verification let pass, byte for byte; none beside a body.

    The others are the webhook URL's own, perhaps a secret, or were added by anybody: no signature covers them.
    """
    if reading.encoding != "query":
        return ""
    return "&".join(part for part in callback.query.split("&") if _parameter_name(part) in reading.fields)


def _parameter_name(part: str) -> str:
    name = part.partition("=")[0]
    return unquote_plus(name, errors="surrogateescape") if "%" in name or "+" in name else name


def _ascii_query(query: str) -> str:
    """Percent-encode raw bytes, which a reader decodes to the same bytes."""
    if query.isascii():
        return query
    try:
        raw = query.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no HTTP server passes on such a surrogate
        raw = query.encode("utf-8", "surrogatepass")
    return quote(raw, safe=printable)


def _json_int(number: int | None) -> int | None:
    return number if number is not None and abs(number) <= _MAX_INT else None
