"""Sealing: from a verified callback to the envelope that is queued. Whatever was on the wire, it can be encoded."""

from string import printable
from typing import Final
from urllib.parse import quote

from ackfirst.shared.accounts import Accounts
from ackfirst.shared.nexmo.callback import Callback, Family
from ackfirst.shared.nexmo.classify import message_id
from ackfirst.shared.nexmo.identity import event_id
from ackfirst.shared.nexmo.reading import Reading
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.verification import URL_TOKEN, Verification

_MAX_INT: Final = 2**53  # what every JSON reader can hold


def build_envelope(
    callback: Callback, verification: Verification, *, accounts: Accounts, trace: str | None
) -> Envelope:
    """The envelope of a callback whose verdict is ``verified``: it has a reading and a family."""
    family, reading = verification.family, verification.reading
    assert family is not None  # noqa: S101 - part of the verdict, here for the type checker
    assert reading is not None  # noqa: S101 - as above
    account, application_id = verification.account, plain_text(verification.application_id)
    return Envelope(
        id=_identify(family, account, callback, reading),
        family=str(family),
        account=account,
        application_id=application_id,
        lane=accounts.lane_of(account, application_id),
        message_id=message_id(family, reading.fields),
        received_at=callback.received_at,
        encoding=reading.encoding,
        content_type=plain_text(callback.content_type) or "",
        body=callback.body,
        query=_ascii_query(_without_url_token(callback.query)),
        iat=_json_int(verification.iat),
        jti=plain_text(verification.jti),
        secret=verification.secret,
        trace=plain_text(trace),
    )


def _identify(family: Family, account: str | None, callback: Callback, reading: Reading) -> str:
    content = callback.query.encode("utf-8", "surrogatepass") if reading.encoding == "query" else callback.body
    return event_id(family, account, reading.fields, content)


def plain_text(text: str | None) -> str | None:
    """``text`` with each surrogate, which neither JSON nor Redis can hold, as a backslash escape."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def _without_url_token(query: str) -> str:
    """The webhook URL's own secret has done its work: handlers and dashboards must not come to see it."""
    if URL_TOKEN not in query:
        return query
    return "&".join(part for part in query.split("&") if part.partition("=")[0] != URL_TOKEN)


def _ascii_query(query: str) -> str:
    """Percent-encode raw bytes: a reader decodes them to the same bytes."""
    if query.isascii():
        return query
    try:
        raw = query.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no HTTP server hands over such a surrogate
        raw = query.encode("utf-8", "surrogatepass")
    return quote(raw, safe=printable)


def _json_int(number: int | None) -> int | None:
    return number if number is not None and abs(number) <= _MAX_INT else None
