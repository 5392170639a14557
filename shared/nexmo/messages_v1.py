"""Messages API v1: flat callbacks, ``{"channel": "sms", "from": "4477…", "to": "1201…", "text": …}``."""

from collections.abc import Mapping
from typing import Any, Final

from ackfirst.shared.nexmo.content import content_type, words
from ackfirst.shared.nexmo.failure import message_error
from ackfirst.shared.nexmo.meaning import Meaning
from ackfirst.shared.nexmo.price import usage_price
from ackfirst.shared.nexmo.values import given, instant, lowered, party

#: Names that changed between v0.1 and v1.
_RENAMED: Final[Mapping[str, str]] = {"viber_service_msg": "viber_service"}


def meaning(fields: dict[str, Any]) -> Meaning:
    """Read an inbound message, a message status, or as much as there is of anything else that resembles them."""
    kind = content_type(fields.get("message_type"), fields)
    return Meaning(
        channel=channel(fields.get("channel")),
        status=lowered(fields.get("status")),
        sender=party(fields.get("from")),
        recipient=party(fields.get("to")),
        text=words(kind, fields),
        content_type=kind,
        occurred_at=instant(fields.get("timestamp")),
        client_ref=given(fields.get("client_ref")),
        error=message_error(fields.get("error")),
        price=usage_price(fields.get("usage")),
    )


def channel(value: Any) -> str | None:
    """Get the channel by its v1 name; a new, unknown channel as it came."""
    name = given(value)
    return name and _RENAMED.get(name, name)
