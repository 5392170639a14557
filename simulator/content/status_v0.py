"""Messages API v0.1, message statuses."""

from collections.abc import Sequence
from typing import Any, Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.content.inbound_v0 import parties
from ackfirst.simulator.content.lives import FAILURES, errors, lives
from ackfirst.simulator.content.model import Content
from ackfirst.simulator.content.scene import Scene

CHANNELS: Final = ("sms", "mms", "whatsapp", "messenger", "viber_service")


class Statuses:
    """The recipe for one channel and one course."""

    def __init__(self, channel: str, life: tuple[str, ...]) -> None:
        self.channel = channel
        self.life = life

    def __call__(self, scene: Scene) -> Sequence[Content]:
        """Its callbacks."""
        ours, theirs = parties(scene, self.channel)
        common: dict[str, Any] = {"message_uuid": scene.uuid(), "to": theirs, "from": ours}
        if scene.chance(0.5):
            common["client_ref"] = f"inv-{scene.digits(4)}"
        return [self._one(scene, common, status) for status in self.life]

    def _one(self, scene: Scene, common: dict[str, Any], status: str) -> Content:
        fields = {**common, "timestamp": scene.iso(), "status": status}
        if status in FAILURES:
            code, reason = scene.rng.choice(errors(self.channel))
            fields["error"] = {"code": int(code), "reason": reason}
        else:
            fields["usage"] = {"currency": "EUR", "price": scene.price()}
        return Content(
            family=Family.MESSAGE_STATUS, channel=self.channel, fields=fields, content_type=None, status=status
        )


RECIPES: Final = tuple(Statuses(channel, life) for channel in CHANNELS for life in lives(channel))
