"""A stranger's fields, made fit to show: what is not known to be harmless is masked, and secrets always are."""

import re
from collections.abc import Callable
from typing import Any, Final

from ackfirst.shared import masking

#: Levels of nesting that are shown. Nexmo's deepest documented callback has five.
DEPTH: Final = 12

#: Characters of one value that reach the terminal without --personal.
LENGTH: Final = 128

# Fields of Nexmo's callbacks whose values say nothing of a person.
_HARMLESS: Final = frozenset((
    "api-key", "api_key", "channel", "code", "concat", "concat-part", "concat-ref", "concat-total", "count_total",
    "currency", "direction", "encoding", "err-code", "iat", "iss", "message-id", "message-timestamp", "messageId",
    "message_id", "message_type", "message_uuid", "network-code", "network_code", "num_messages", "payload_hash",
    "price", "scts", "status", "timestamp", "type",
))  # fmt: skip

_NUMBERS: Final = frozenset((
    "from", "id", "msisdn", "number", "recipient", "sender", "to",
))  # fmt: skip

# Further names that Nexmo uses. Any other name may be a person's words: a body that is no form is read as one.
_NAMES: Final = frozenset((
    "_self", "address", "audio", "body", "button", "caption", "cards", "client-ref", "client_ref", "contacts",
    "content", "context", "data", "description", "destination", "detail", "email", "emoji", "error", "file", "href",
    "image", "instance", "keyword", "lat", "latitude", "location", "long", "longitude", "message", "messenger", "mms",
    "name", "nonce", "order", "origin", "payload", "price", "product_items", "profile", "rcs", "reaction", "referral",
    "reply", "sig", "sms", "sticker", "template", "text", "title", "token", "udh", "unsupported", "url", "usage",
    "user", "vcard", "video", "viber_service", "whatsapp", "workflow",
))  # fmt: skip
_KNOWN: Final = _HARMLESS | _NUMBERS | _NAMES

_SECRET: Final = re.compile(r"token|secret|passw|authori[sz]ation|^sig$|signature|jwt", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[\w.:+ -]{0,128}", re.ASCII)


def fields(value: Any, *, personal: bool) -> Any:
    """The same JSON value, masked; with ``personal`` only secrets are. Text is printable in either case."""
    return _personal(value, "", DEPTH) if personal else _masked(value, "", DEPTH)


def line(text: str) -> str:
    """A header or a name as it was sent: printable, not too long, phone numbers masked."""
    return masking.numbers(printable(text[:LENGTH]))


def printable(text: str) -> str:
    """The text with control characters and lone surrogates as escapes: it must not steer a terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _personal(value: Any, name: str, depth: int) -> Any:
    return _walk(value, name, depth, key=printable, leaf=lambda one, _: printable(one) if isinstance(one, str) else one)


def _masked(value: Any, name: str, depth: int) -> Any:
    return _walk(value, name, depth, key=_name, leaf=_masked_leaf)


def _masked_leaf(value: Any, name: str) -> Any:
    return value if value is None or isinstance(value, bool) else _scalar(value, name)


def _walk(value: Any, name: str, depth: int, *, key: Callable[[str], str], leaf: Callable[[Any, str], Any]) -> Any:
    """The value with its keys and leaves made fit; a secret is hidden whatever it is, what is too deep is left out."""
    if _SECRET.search(name):
        return _hidden(value)
    match value:
        case dict() | list() if not depth:
            return "…"
        case dict():
            return {key(str(of)): _walk(item, str(of), depth - 1, key=key, leaf=leaf) for of, item in value.items()}
        case list():
            return [_walk(item, name, depth - 1, key=key, leaf=leaf) for item in value]
        case _:
            return leaf(value, name)


def _scalar(value: Any, name: str) -> Any:
    text = str(value)
    if name in _HARMLESS and _PLAIN.fullmatch(text) and masking.numbers(text) == text:
        return value
    return masking.number(printable(text)) if name in _NUMBERS else masking.text(text)


def _name(key: str) -> str:
    return key if key in _KNOWN else masking.text(key)


def _hidden(value: Any) -> str:
    """Of a secret only its length, which tells a ``sig`` of MD5 from one of SHA-256."""
    return masking.text(value) if isinstance(value, str) else "•••"
