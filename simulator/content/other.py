"""Signed JSON of family ``other``: Dispatch reports and Verify events, which come to the same URLs.

Their identity is the hash of their body. They carry no timestamp, so that the same seed gives the same identity.
"""

from collections.abc import Sequence
from typing import Any, Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.content.scene import Content, Scene


def _other(fields: dict[str, Any]) -> Sequence[Content]:
    channel, status = fields.get("channel"), fields["status"]
    return [Content(family=Family.OTHER, channel=channel, fields=fields, content_type=None, status=status)]


def dispatch_report(scene: Scene) -> Sequence[Content]:
    """Make the final report of a Dispatch workflow: two messages, the second was the failover."""
    messages = [
        {"message_uuid": scene.uuid(), "channel": "whatsapp", "status": "rejected"},
        {"message_uuid": scene.uuid(), "channel": "sms", "status": "delivered"},
    ]
    return _other(
        {
            "dispatch_uuid": scene.uuid(),
            "template": "failover",
            "status": scene.rng.choice(("completed", "error")),
            "usage": {"price": scene.price(), "currency": "EUR"},
            "_links": {"messages": messages},
        }
    )


def verify_event(scene: Scene) -> Sequence[Content]:
    """Make a Verify v2 event: the first channel of a verification expired, the next begins."""
    return _other(
        {
            "request_id": scene.uuid(),
            "type": "event",
            "channel": "silent_auth",
            "status": scene.rng.choice(("completed", "expired", "action_pending")),
            "action": {"type": "check", "check_url": "https://api.nexmo.com/v2/verify/check"},
        }
    )


def verify_summary(scene: Scene) -> Sequence[Content]:
    """Make a Verify v2 summary: how a verification ended."""
    return _other(
        {
            "request_id": scene.uuid(),
            "type": "summary",
            "channel_timeout": 180,
            "workflow": [{"channel": "sms", "status": "completed"}],
            "price": scene.price(),
            "client_ref": f"login-{scene.digits(6)}",
            "status": "completed",
        }
    )


RECIPES: Final = (dispatch_report, verify_event, verify_summary)
