"""Messages API v0.1: nested callbacks, ``{"from": {"type": "sms", "number": "4477…"}, "message": {"content": …}}``.

An application, an account or a single message can ask for this version at any time, so it is decided for each callback
which one it has.
"""

from typing import Any

from ackfirst.shared.nexmo.content import content_type, words
from ackfirst.shared.nexmo.failure import message_error
from ackfirst.shared.nexmo.meaning import Meaning
from ackfirst.shared.nexmo.messages_v1 import channel
from ackfirst.shared.nexmo.price import usage_price
from ackfirst.shared.nexmo.values import given, instant, lowered, members, party


def is_v0(fields: dict[str, Any]) -> bool:
    """Check for the nested shape: a party, or the message itself, is an object."""
    return any(isinstance(fields.get(name), dict) for name in ("to", "from", "message"))


def meaning(fields: dict[str, Any]) -> Meaning:
    """Read an inbound message, a message status, or as much as there is of anything else that resembles them."""
    content = members(members(fields.get("message")).get("content"))
    kind = content_type(content.get("type"), content)
    return Meaning(
        channel=_channel(fields),
        status=lowered(fields.get("status")),
        sender=party(fields.get("from")),
        recipient=party(fields.get("to")),
        text=words(kind, content),
        content_type=kind,
        occurred_at=instant(fields.get("timestamp")),
        client_ref=given(fields.get("client_ref")),
        error=message_error(fields.get("error")),
        price=usage_price(fields.get("usage")),
    )


def _channel(fields: dict[str, Any]) -> str | None:
    parties = (members(fields.get(name)).get("type") for name in ("to", "from"))
    named = (channel(value) for value in (*parties, fields.get("channel")))
    return next(filter(None, named), None)
