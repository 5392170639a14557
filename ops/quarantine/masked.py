"""Mask the fields of an unverified callback: every value that is not known to be harmless, and secrets always."""

import re
from collections.abc import Callable
from typing import Any, Final

from ackfirst.ops.terminal import printable
from ackfirst.shared import masking

#: Levels of nesting that are shown. Nexmo's deepest documented callback has five.
MAX_DEPTH: Final = 12

#: Most of one value that is shown without --personal.
MAX_CHARACTERS: Final = 128

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
    """Mask a JSON value; with ``personal`` only the secrets in it. Text is printable in either case."""
    return _personal(value, "", MAX_DEPTH) if personal else _masked(value, "", MAX_DEPTH)


def line(text: str) -> str:
    """Make a header or a name fit for one line: printable, not too long, phone numbers masked."""
    return masking.numbers(printable(text[:MAX_CHARACTERS]))


def _personal(value: Any, name: str, depth: int) -> Any:
    return _walk(value, name, depth, key=printable, leaf=lambda one, _: printable(one) if isinstance(one, str) else one)


def _masked(value: Any, name: str, depth: int) -> Any:
    return _walk(value, name, depth, key=_name, leaf=_masked_leaf)


def _masked_leaf(value: Any, name: str) -> Any:
    return value if value is None or isinstance(value, bool) else _scalar(value, name)


def _walk(value: Any, name: str, depth: int, *, key: Callable[[str], str], leaf: Callable[[Any, str], Any]) -> Any:
    """Mask keys and leaves of a value. A secret is hidden whatever it is; what is nested too deeply is left out."""
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
    """Show only the length of a secret, which tells a ``sig`` of MD5 from one of SHA-256."""
    return masking.text(value) if isinstance(value, str) else "•••"
