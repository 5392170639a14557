"""The envelope: all that ingest and workers share about one event. Text, versioned.

The raw body survives every hop byte for byte: as text where it is UTF-8, as base64 otherwise.

Version 1 was one JSON object with the body as a text in it, whose quotation marks cost three bytes each by the time
they were in Redis. In version 2 a lane that is left out is the application's id; since version 3 it is the default lane
of the application within its account, so that accounts cannot share one by accident.
"""

import base64
import binascii
from operator import attrgetter
from typing import Any, Final, Self, get_args

import orjson

from ackfirst.shared.accounts import default_lane
from ackfirst.shared.errors import EnvelopeError
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.reading import Encoding
from ackfirst.shared.record import field_names, named_record

VERSION: Final = 3


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
        """Write the newest version: a line of JSON, then the body as it is.

        Fields with their usual value are left out. A body that is not UTF-8 is base64 within the line, and nothing
        follows.
        """
        head = {key: value for key, value, usual in zip(_KEYS, _values(self), _USUAL, strict=True) if value != usual}
        if self.lane == default_lane(self.account, self.application_id):
            del head["lane"]
        if self.family == _FAMILY_BY_LETTER.get(self.id[:1]):
            del head["family"]
        try:
            body = self.body.decode()
        except UnicodeDecodeError:
            return _json({"v": VERSION, **head, "body_b64": base64.b64encode(self.body).decode()})
        return f"{_json({'v': VERSION, **head})}\n{body}"

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read an envelope of any known version.

        Raises:
            EnvelopeError: It does not begin with a line of JSON, is not an envelope, or of a version that this release
                does not know.
        """
        head, newline, body = text.partition("\n")
        try:
            fields = orjson.loads(head)
        except orjson.JSONDecodeError as error:
            raise EnvelopeError(f"the envelope is not JSON: {error}") from error
        version = fields.get("v") if isinstance(fields, dict) else None
        if version == 1:
            return cls(**_fields(fields))
        if version in (2, VERSION):
            lane = fields.get("app") if version == 2 else _default_lane(fields)  # noqa: PLR2004 - a version
            return cls(**_fields(_long_names(fields, lane) | ({"body": body} if newline else {})))
        raise EnvelopeError(f"envelope version {version!r} is not known here (newest known: {VERSION})")


# Of a waiting event's 1.5 KB in Redis, 700 bytes of body and what RQ needs leave 350 for the line: since version 2
# its names are short, and usual values left out. The family is in the id as well, and the lane usually the default one.
_SHORT: Final = {"application_id": "app", "message_id": "message", "received_at": "at"}
_CONSTANTS: Final = {"encoding": "json", "content_type": "application/json", "query": "", "secret": 0}
_FAMILY_BY_LETTER: Final = {family.facts.letter: str(family) for family in Family}

_NAMES: Final = tuple(name for name in field_names(Envelope) if name != "body")
_KEYS: Final = tuple(_SHORT.get(name, name) for name in _NAMES)
_USUAL: Final = tuple(_CONSTANTS.get(name) for name in _NAMES)
_values: Final = attrgetter(*_NAMES)


def _default_lane(head: dict[str, Any]) -> str:
    account, application_id = (value if isinstance(value := head.get(key), str) else None for key in ("account", "app"))
    return default_lane(account, application_id)


def _long_names(head: dict[str, Any], lane: str | None) -> dict[str, Any]:
    usual = {**_CONSTANTS, "family": _FAMILY_BY_LETTER.get(str(head.get("id"))[:1]), "lane": lane}
    return {**usual, **head, **{name: head.get(short) for name, short in _SHORT.items()}}


def _json(fields: dict[str, Any]) -> str:
    return orjson.dumps(fields).decode()


#: Unix seconds of the year 10000, which Python cannot date.
_END_OF_TIME: Final = 253_402_300_800

# What each field may hold: other programs can write to the queue, so it is checked like any input.
_TEXT: Final[frozenset[type]] = frozenset({str})
_TEXT_OR_NONE: Final[frozenset[type]] = frozenset({str, type(None)})
_WHOLE_OR_NONE: Final[frozenset[type]] = frozenset({int, type(None)})
_TYPES: Final[dict[str, frozenset[type]]] = {
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


def _fields(fields: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {name: fields.get(name) for name in _TYPES}
    for name, value in read.items():
        if type(value) not in _TYPES[name]:
            wanted = " or ".join(sorted(kind.__name__ for kind in _TYPES[name]))
            raise EnvelopeError(f"the envelope's {name!r} is {type(value).__name__}, not {wanted}")
    if not 0 <= read["received_at"] < _END_OF_TIME:
        raise EnvelopeError(f"the envelope's 'received_at' is no time: {read['received_at']}")
    if read["encoding"] not in _ENCODINGS:
        raise EnvelopeError(f"the envelope's encoding {read['encoding']!r} is not known")
    read["body"] = _body(fields)
    return read


def _body(fields: dict[str, Any]) -> bytes:
    match fields:
        case {"body": str(text)}:
            try:
                return text.encode()
            except UnicodeEncodeError as error:
                raise EnvelopeError(f"the envelope's body is not text: {error}") from error
        case {"body_b64": str(text)}:
            try:
                return base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise EnvelopeError(f"the envelope's body_b64 is not base64: {error}") from error
        case _:
            raise EnvelopeError("the envelope has no body")
