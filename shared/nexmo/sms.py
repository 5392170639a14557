"""SMS API: inbound SMS and delivery receipts. Flat parameters, in kebab-case and camelCase, in any encoding."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ackfirst.shared.nexmo.failure import receipt_error
from ackfirst.shared.nexmo.meaning import Meaning
from ackfirst.shared.nexmo.price import price
from ackfirst.shared.nexmo.values import carrier_time, given, instant, lowered, party, scalar

#: Every parameter that the SMS API is known to send (its reference, and captured requests), of either family. Others
#: are new ones of Nexmo's, or come from the query of the webhook's own URL.
PARAMETERS: Final = frozenset({
    "msisdn", "to", "messageId", "text", "type", "keyword", "message-timestamp", "api-key", "timestamp", "nonce",
    "sig", "concat", "concat-ref", "concat-total", "concat-part", "data", "udh", "network-code", "sessionId", "price",
    "status", "scts", "err-code", "client-ref",
})  # fmt: skip

#: ``unicode`` is a matter of transport: to a handler it is a text like any other.
_CONTENT_TYPES: Final[Mapping[str, str]] = {"unicode": "text"}


def inbound_meaning(fields: dict[str, Any]) -> Meaning:
    """Read one inbound SMS: of a long one, this is one part. A binary one may have no text, or text beside ``data``."""
    return Meaning(
        channel="sms",
        status=None,
        sender=party(fields.get("msisdn")),
        recipient=party(fields.get("to")),
        text=scalar(fields.get("text")),
        content_type=_content_type(fields),
        occurred_at=instant(fields.get("message-timestamp")) or instant(fields.get("timestamp")),
        client_ref=_client_ref(fields),
        error=None,
        price=price(fields.get("price")),
    )


def receipt_meaning(fields: dict[str, Any]) -> Meaning:
    """Read one delivery receipt. ``to`` is our sender id and ``msisdn`` the phone that we wrote to."""
    state = lowered(fields.get("status"))
    return Meaning(
        channel="sms",
        status=state,
        sender=party(fields.get("to")),
        recipient=party(fields.get("msisdn")),
        text=None,
        content_type=None,
        occurred_at=_receipt_time(fields),
        client_ref=_client_ref(fields),
        error=receipt_error(state, fields.get("err-code")),
        price=price(fields.get("price")),
    )


def _receipt_time(fields: dict[str, Any]) -> datetime | None:
    """Prefer the provider's time: the carrier's has minutes only, and ``timestamp`` is the moment of signing."""
    pushed = instant(fields.get("message-timestamp"))
    return pushed or carrier_time(fields.get("scts")) or instant(fields.get("timestamp"))


def _content_type(fields: dict[str, Any]) -> str | None:
    declared = given(fields.get("type"))
    if declared:
        return _CONTENT_TYPES.get(declared, declared)
    return "text" if scalar(fields.get("text")) is not None else "binary"


def _client_ref(fields: dict[str, Any]) -> str | None:
    return given(fields.get("client-ref")) or given(fields.get("client_ref"))
