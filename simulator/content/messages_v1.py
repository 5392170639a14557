"""Messages API v1: inbound messages of every channel and message type, and every sequence of statuses."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.content.message_types import MAKERS
from ackfirst.simulator.content.scene import Content, Recipe, Scene
from ackfirst.simulator.content.statuses import FAILURES, error_codes, status_sequences

_MEDIA: Final = ("image", "audio", "video", "file")

TYPES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sms": ("text",),
        "mms": ("text", *_MEDIA, "vcard", "content"),
        "rcs": ("text", *_MEDIA, "vcard", "location", "reply", "button"),
        "whatsapp": (
            *("text", *_MEDIA, "location", "reply", "button"),
            *("contacts", "order", "sticker", "reaction", "unsupported"),
        ),
        "messenger": ("text", *_MEDIA, "unsupported"),
        "viber_service": ("text", "image", "video", "file"),
    }
)
"""Channel → message types that it can carry."""


def _inbound_parties(scene: Scene, channel: str) -> dict[str, str]:
    match channel:
        case "messenger":
            return {"to": scene.digits(15), "from": scene.digits(16)}
        case "viber_service":
            return {"to": scene.digits(5), "from": scene.phone()}
        case "rcs":
            return {"to": "HarbourAgent", "from": scene.phone()}
        case "whatsapp" if scene.chance(0.3):
            return {"to": "4930555017", "from": f"DE.{scene.digits(14)}"}
        case _:
            return {"to": "12015550142", "from": scene.phone()}


def _inbound_sms(scene: Scene, fields: dict[str, Any]) -> dict[str, Any]:
    # The schema gives an inbound SMS no message_type; two official clients' fixtures have one.
    typed = {"message_type": "text"} if scene.chance(0.3) else {}
    keyword = str(fields["text"]).split()[0].upper()
    return {
        **typed,
        "sms": {"num_messages": "1", "keyword": keyword},
        "usage": {"currency": "EUR", "price": scene.price()},
        "origin": {"network_code": scene.network()},
    }


def _inbound_whatsapp(scene: Scene, fields: dict[str, Any]) -> dict[str, Any]:
    first, last = scene.name()
    user = fields["from"]
    extras: dict[str, Any] = {
        "profile": {"name": f"{first} {last}"},
        "context_status": "none",
        "provider_message": fields["message_uuid"],
        "whatsapp": {"sender": {"user_id": user}, "waba_id": "31415926535"},
        "_self": {"href": f"https://api-eu.vonage.com/v1/messages/{fields['message_uuid']}"},
    }
    if scene.chance(0.3):
        extras["context_status"] = "available"
        extras["context"] = {"message_uuid": scene.uuid(), "message_from": fields["to"]}
    if scene.chance(0.2):
        extras["whatsapp"]["referral"] = {
            "body": "Berths from 12 euro a night",
            "headline": "Harbour",
            "source_id": scene.digits(12),
            "source_type": "ad",
            "source_url": "https://harbour.example/ad",
        }
    return extras


def _inbound_extras(scene: Scene, channel: str, fields: dict[str, Any]) -> dict[str, Any]:
    match channel:
        case "sms":
            return _inbound_sms(scene, fields)
        case "whatsapp":
            return _inbound_whatsapp(scene, fields)
        case "rcs":
            return {"context_status": "none"}
        case "viber_service" if scene.chance(0.3):
            return {"context": {"message_uuid": scene.digits(19)}}
        case _:
            return {}


class Inbound:
    """Makes an inbound message of one channel and message type."""

    def __init__(self, channel: str, message_type: str) -> None:
        self.channel = channel
        self.message_type = message_type

    def __call__(self, scene: Scene) -> Sequence[Content]:
        """Make the callback."""
        fields: dict[str, Any] = {
            "channel": self.channel,
            "message_uuid": scene.uuid(),
            **_inbound_parties(scene, self.channel),
            "timestamp": scene.iso(),
        }
        if self.channel != "sms":
            fields["message_type"] = self.message_type
        if self.message_type in MAKERS:
            fields[self.message_type] = MAKERS[self.message_type](scene, self.channel)
        fields |= _inbound_extras(scene, self.channel, fields)
        return [
            Content(family=Family.INBOUND_MESSAGE, channel=self.channel, fields=fields, content_type=self.message_type)
        ]


STATUS_CHANNELS: Final = ("sms", "mms", "rcs", "whatsapp", "messenger", "viber_service", "email")
_WORKFLOW_SPELLINGS: Final = (
    ("workflow_id", "items_number", "items_total"),
    ("id", "item_number", "total_items"),
    ("id", "item_number", "items_total"),
)


def _status_parties(scene: Scene, channel: str) -> dict[str, str]:
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
    code, detail = scene.rng.choice(error_codes(channel))
    error: dict[str, Any] = {
        "type": f"https://developer.vonage.com/api-errors/messages#{code}",
        # Text by the schema, a number in older payloads.
        "title": int(code) if scene.chance(0.2) else code,
        "detail": detail,
        "instance": scene.hex_id().lower(),
    }
    # One official client's fixture nests the object once more.
    return {"error": error} if scene.chance(0.1) else error


def _status_whatsapp(scene: Scene, status: str) -> dict[str, Any]:
    details: dict[str, Any] = {"waba_id": "31415926535", "recipient": {"wa_id": scene.phone()}}
    if status == "delivered":
        details["pricing"] = {"type": "regular", "pricing_model": "PMP", "category": "utility"}
        details["conversation"] = {"id": scene.hex_id(32).lower(), "origin": {"type": "utility"}}
    return {"whatsapp": details}


def _status_segments(scene: Scene, status: str) -> dict[str, Any]:
    # The schema says count_total, a guide of the vendor total_count.
    counted = {scene.rng.choice(("count_total", "total_count")): "2"}
    segment = {"timestamp": scene.iso(), "status": status}
    failed = {**segment, "error_code": "1230"} if status in FAILURES else segment
    return {"sms": {**counted, "segments": [segment, failed]}}


def _status_extras(scene: Scene, channel: str, status: str) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if channel not in ("rcs", "email"):
        extras["usage"] = {"currency": "EUR", "price": "0" if channel == "whatsapp" else scene.price()}
    if channel in ("sms", "mms", "rcs"):
        extras["destination"] = {"network_code": scene.network()}
    if channel == "sms":
        extras |= _status_segments(scene, status)
    if channel == "whatsapp":
        extras |= _status_whatsapp(scene, status)
    return extras


def _common_members(scene: Scene) -> dict[str, Any]:
    """Make the members that are the same in every status of one message."""
    fields: dict[str, Any] = {}
    if scene.chance(0.5):
        fields["client_ref"] = f"berth-7/inv-{scene.digits(4)}"
    if scene.chance(0.1):
        fields["workflow"] = dict(zip(scene.rng.choice(_WORKFLOW_SPELLINGS), (scene.uuid(), "1", "2"), strict=True))
    return fields


class Statuses:
    """Makes the statuses of one message on one channel, in their order."""

    def __init__(self, channel: str, statuses: tuple[str, ...]) -> None:
        self.channel = channel
        self.statuses = statuses

    def __call__(self, scene: Scene) -> Sequence[Content]:
        """Make the callbacks."""
        common = {
            "message_uuid": scene.uuid(),
            **_status_parties(scene, self.channel),
            "channel": self.channel,
            **_common_members(scene),
        }
        return [self._one(scene, common, status) for status in self.statuses]

    def _one(self, scene: Scene, common: dict[str, Any], status: str) -> Content:
        fields = {**common, "timestamp": scene.iso(), "status": status}
        fields |= _status_extras(scene, self.channel, status)
        if status in FAILURES:
            fields["error"] = _error(scene, self.channel)
        return Content(
            family=Family.MESSAGE_STATUS, channel=self.channel, fields=fields, content_type=None, status=status
        )


RECIPES: Final[tuple[Recipe, ...]] = (
    *(Inbound(channel, kind) for channel, kinds in TYPES.items() for kind in kinds),
    *(Statuses(channel, statuses) for channel in STATUS_CHANNELS for statuses in status_sequences(channel)),
)
