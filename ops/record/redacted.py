"""Take the personal data out of an event, and keep what says nothing of a person. Pure."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote, quote_plus, urlencode

from ackfirst.shared.nexmo.reading import read_as
from ackfirst.shared.nexmo.values import scalar
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.store.rows import Arrival

#: What a keyed hash begins with, in place of a number.
PREFIX: Final = "redacted:"
_HASH_DIGITS: Final = 32

#: Fields whose values say nothing of a person: ids of messages, states, times, prices, codes.
_KEPT: Final = frozenset((
    "api-key", "api_key", "channel", "code", "concat", "concat-part", "concat-ref", "concat-total", "count_total",
    "currency", "direction", "encoding", "err-code", "message-id", "message-timestamp", "messageId", "message_id",
    "message_type", "message_uuid", "network-code", "network_code", "num_messages", "price", "scts", "status",
    "timestamp", "title", "type",
))  # fmt: skip
#: Fields that hold a person's number or id, or our own: equal values can still be compared by their hash.
_HASHED: Final = frozenset(("from", "to", "msisdn", "number", "id", "client_ref", "client-ref"))
#: Objects that are looked into; everything else goes.
_NESTED: Final = frozenset(("error", "usage", "message", "content", "from", "to", "sms", "whatsapp", "rcs"))
_PLAIN: Final = re.compile(r"[\w.:+/# -]{0,128}", re.ASCII)
_MAX_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class Person:
    """The data that is meant: everything from and to a number, or the events of one message."""

    number: str | None = None
    message_id: str | None = None
    """Id of a message, or of one of its events."""

    @property
    def text(self) -> str:
        """Return what stands in the text of every event that is meant."""
        return self.number or self.message_id or ""

    def is_meant_by(self, arrival: Arrival) -> bool:
        """Return True for an event that is from, to or about this person."""
        if self.number is not None:
            return self.number in (arrival.sender, arrival.recipient)
        return self.message_id in (arrival.message_id, arrival.event_id)

    def needles(self) -> frozenset[bytes]:
        """Return texts of which one stands in the job, frame or callback of every event that is meant.

        As it is, in a form, and as JSON may write it. A body that is not UTF-8 is base64 in its envelope, where
        nothing can be searched.
        """
        plain = self.text.encode("utf-8", "surrogatepass")
        written = (quote_plus(plain), quote(plain), json.dumps(self.text)[1:-1])
        return frozenset((plain, b"body_b64", *map(str.encode, written)))


def keyed_hash(value: str, key: bytes) -> str:
    """Replace a value by what equal values have in common, and what cannot be guessed without the key.

    The plain hash of a phone number can be: there are few enough of them to try all.
    """
    if value.startswith(PREFIX):
        return value
    return PREFIX + hmac.new(key, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:_HASH_DIGITS]


def redacted_envelope(envelope: Envelope, key: bytes) -> Envelope:
    """Return the envelope with what says nothing of a person: handlers still see status, times, price and hashes."""
    reading = read_as(envelope.encoding, body=envelope.body, query=envelope.query)
    kept = _kept(reading.fields, lambda value: keyed_hash(value, key), _MAX_DEPTH) if reading else {}
    match envelope.encoding:
        case "json":
            return replace(envelope, body=json.dumps(kept).encode(), query="")
        case "form":
            return replace(envelope, body=_flat(kept).encode(), query="")
        case _:
            return replace(envelope, body=b"", query=_flat(kept))


def _kept(fields: Mapping[str, Any], hashed: Callable[[str], str], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict):
            if name in _NESTED and depth and (inner := _kept(value, hashed, depth - 1)):
                found[name] = inner
            continue
        text = scalar(value)
        if text is None:
            continue
        if name in _HASHED:
            found[name] = hashed(text.removeprefix("+"))
        elif name in _KEPT and _PLAIN.fullmatch(text):
            found[name] = text
    return found


def _flat(fields: Mapping[str, Any]) -> str:
    return urlencode({name: value for name, value in fields.items() if isinstance(value, str)})
