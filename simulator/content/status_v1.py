"""Messages API v1, message statuses: every channel with every course that a message can take."""

from collections.abc import Sequence
from typing import Any, Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.content.lives import FAILURES, errors, lives
from ackfirst.simulator.content.model import Content
from ackfirst.simulator.content.scene import Scene

CHANNELS: Final = ("sms", "mms", "rcs", "whatsapp", "messenger", "viber_service", "email")
_WORKFLOW_SPELLINGS: Final = (
    ("workflow_id", "items_number", "items_total"),
    ("id", "item_number", "total_items"),
    ("id", "item_number", "items_total"),
)


def _parties(scene: Scene, channel: str) -> dict[str, str]:
    match channel:
        case "messenger":
            return {"to": scene.digits(16), "from": scene.digits(15)}
        case "email":
            return {"to": "ilse@harbour.example", "from": "office@harbour.example"}
        case "rcs":
            return {"to": scene.phone(), "from": "HarbourAgent"}
        case _:
            return {"to": scene.phone(), "from": scene.sender()}


def _error(scene: Scene, channel: str) -> dict[str, Any]:
    code, detail = scene.rng.choice(errors(channel))
    error: dict[str, Any] = {
        "type": f"https://developer.vonage.com/api-errors/messages#{code}",
        # Text by the schema, a number in older payloads.
        "title": int(code) if scene.chance(0.2) else code,
        "detail": detail,
        "instance": scene.hex_id().lower(),
    }
    # One official client's fixture nests the object once more.
    return {"error": error} if scene.chance(0.1) else error


def _whatsapp(scene: Scene, status: str) -> dict[str, Any]:
    details: dict[str, Any] = {"waba_id": "31415926535", "recipient": {"wa_id": scene.phone()}}
    if status == "delivered":
        details["pricing"] = {"type": "regular", "pricing_model": "PMP", "category": "utility"}
        details["conversation"] = {"id": scene.hex_id(32).lower(), "origin": {"type": "utility"}}
    return {"whatsapp": details}


def _parts(scene: Scene, status: str) -> dict[str, Any]:
    # The schema says count_total, a guide of the vendor total_count.
    counted = {scene.rng.choice(("count_total", "total_count")): "2"}
    segment = {"timestamp": scene.iso(), "status": status}
    failed = {**segment, "error_code": "1230"} if status in FAILURES else segment
    return {"sms": {**counted, "segments": [segment, failed]}}


def _channel_extras(scene: Scene, channel: str, status: str) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if channel not in ("rcs", "email"):
        extras["usage"] = {"currency": "EUR", "price": "0" if channel == "whatsapp" else scene.price()}
    if channel in ("sms", "mms", "rcs"):
        extras["destination"] = {"network_code": scene.network()}
    if channel == "sms":
        extras |= _parts(scene, status)
    if channel == "whatsapp":
        extras |= _whatsapp(scene, status)
    return extras


def _shared_by_all(scene: Scene) -> dict[str, Any]:
    """What stays the same in every status of one message."""
    fields: dict[str, Any] = {}
    if scene.chance(0.5):
        fields["client_ref"] = f"berth-7/inv-{scene.digits(4)}"
    if scene.chance(0.1):
        fields["workflow"] = dict(zip(scene.rng.choice(_WORKFLOW_SPELLINGS), (scene.uuid(), "1", "2"), strict=True))
    return fields


class Statuses:
    """The recipe for one channel and one course."""

    def __init__(self, channel: str, life: tuple[str, ...]) -> None:
        self.channel = channel
        self.life = life

    def __call__(self, scene: Scene) -> Sequence[Content]:
        """Its callbacks."""
        common = {
            "message_uuid": scene.uuid(),
            **_parties(scene, self.channel),
            "channel": self.channel,
            **_shared_by_all(scene),
        }
        return [self._one(scene, common, status) for status in self.life]

    def _one(self, scene: Scene, common: dict[str, Any], status: str) -> Content:
        fields = {**common, "timestamp": scene.iso(), "status": status}
        fields |= _channel_extras(scene, self.channel, status)
        if status in FAILURES:
            fields["error"] = _error(scene, self.channel)
        return Content(
            family=Family.MESSAGE_STATUS, channel=self.channel, fields=fields, content_type=None, status=status
        )


RECIPES: Final = tuple(Statuses(channel, life) for channel in CHANNELS for life in lives(channel))
