"""The envelope: all that ingest and workers share about one event. JSON text, versioned.

The raw body survives every hop byte for byte: as text where it is UTF-8, as base64 otherwise.
"""

import base64
import binascii
from typing import Any, Final, Self, get_args

import orjson

from shared.errors import EnvelopeError
from shared.nexmo.reading import Encoding
from shared.record import field_names, named_record

VERSION: Final = 1


@named_record
class Envelope:
    """One verified callback on its way from ingest to a worker."""

    id: str
    """Event id: family letter, ``-``, 32 hex digits. Also RQ's job id."""
    family: str
    account: str | None
    application_id: str | None
    lane: str
    message_id: str | None
    received_at: float
    """Unix seconds."""
    encoding: Encoding
    """Where the parameters are: a JSON body, a form body, or the query string."""
    content_type: str
    body: bytes
    query: str
    iat: int | None = None
    """Claim of the token, seconds: evidence, never a key."""
    jti: str | None = None
    """Claim of the token: evidence, never a key."""
    secret: int | None = None
    """Which of the account's secrets confirmed it, counted from 0; None when unsigned callbacks are allowed."""
    trace: str | None = None
    """W3C ``traceparent`` of the request, if it had one."""

    def encode(self) -> str:
        """JSON text of the newest version; what is None is left out, which a reader takes for None."""
        fields: dict[str, Any] = {name: value for name in _PLAIN_FIELDS if (value := getattr(self, name)) is not None}
        try:
            fields["body"] = self.body.decode()
        except UnicodeDecodeError:
            fields["body_b64"] = base64.b64encode(self.body).decode()
        return orjson.dumps({"v": VERSION, **fields}).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read an envelope of any known version.

        Raises:
            EnvelopeError: It is not JSON, not an envelope, or of a version that this release does not know.
        """
        try:
            fields = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise EnvelopeError(f"the envelope is not JSON: {error}") from error
        version = fields.get("v") if isinstance(fields, dict) else None
        if version != VERSION:
            raise EnvelopeError(f"envelope version {version!r} is not known here (newest known: {VERSION})")
        return cls(**_fields_v1(fields))


_PLAIN_FIELDS: Final = tuple(name for name in field_names(Envelope) if name != "body")

#: Unix seconds of the year 10000, which Python cannot date.
_END_OF_TIME: Final = 253_402_300_800

# What each field of version 1 may hold: a queue that strangers can write to is input like any other.
_TEXT: Final[frozenset[type]] = frozenset({str})
_TEXT_OR_NONE: Final[frozenset[type]] = frozenset({str, type(None)})
_WHOLE_OR_NONE: Final[frozenset[type]] = frozenset({int, type(None)})
_TYPES_V1: Final[dict[str, frozenset[type]]] = {
    "id": _TEXT,
    "family": _TEXT,
    "account": _TEXT_OR_NONE,
    "application_id": _TEXT_OR_NONE,
    "lane": _TEXT,
    "message_id": _TEXT_OR_NONE,
    "received_at": frozenset({float, int}),
    "encoding": _TEXT,
    "content_type": _TEXT,
    "query": _TEXT,
    "iat": _WHOLE_OR_NONE,
    "jti": _TEXT_OR_NONE,
    "secret": _WHOLE_OR_NONE,
    "trace": _TEXT_OR_NONE,
}
_ENCODINGS: Final = frozenset(get_args(Encoding))


def _fields_v1(fields: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {name: fields.get(name) for name in _TYPES_V1}
    for name, value in read.items():
        if type(value) not in _TYPES_V1[name]:
            wanted = " or ".join(sorted(kind.__name__ for kind in _TYPES_V1[name]))
            raise EnvelopeError(f"the envelope's {name!r} is {type(value).__name__}, not {wanted}")
    if not 0 <= read["received_at"] < _END_OF_TIME:
        raise EnvelopeError(f"the envelope's 'received_at' is no time: {read['received_at']}")
    if read["encoding"] not in _ENCODINGS:
        raise EnvelopeError(f"the envelope's encoding {read['encoding']!r} is not known")
    read["body"] = _body_v1(fields)
    return read


def _body_v1(fields: dict[str, Any]) -> bytes:
    match fields:
        case {"body": str(text)}:
            return text.encode()
        case {"body_b64": str(text)}:
            try:
                return base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise EnvelopeError(f"the envelope's body_b64 is not base64: {error}") from error
        case _:
            raise EnvelopeError("the envelope has no body")
