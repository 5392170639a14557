"""Messages API v1, inbound messages: every channel with every message type that it can carry."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.content.model import Content
from ackfirst.simulator.content.parts import MAKERS
from ackfirst.simulator.content.scene import Scene

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
"""Channel → message types."""


def _parties(scene: Scene, channel: str) -> dict[str, str]:
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


def _sms(scene: Scene, fields: dict[str, Any]) -> dict[str, Any]:
    # The schema gives an inbound SMS no message_type; two official clients' fixtures have one.
    typed = {"message_type": "text"} if scene.chance(0.3) else {}
    keyword = str(fields["text"]).split()[0].upper()
    return {
        **typed,
        "sms": {"num_messages": "1", "keyword": keyword},
        "usage": {"currency": "EUR", "price": scene.price()},
        "origin": {"network_code": scene.network()},
    }


def _whatsapp(scene: Scene, fields: dict[str, Any]) -> dict[str, Any]:
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


def _extras(scene: Scene, channel: str, fields: dict[str, Any]) -> dict[str, Any]:
    match channel:
        case "sms":
            return _sms(scene, fields)
        case "whatsapp":
            return _whatsapp(scene, fields)
        case "rcs":
            return {"context_status": "none"}
        case "viber_service" if scene.chance(0.3):
            return {"context": {"message_uuid": scene.digits(19)}}
        case _:
            return {}


class Inbound:
    """The recipe for one channel and message type."""

    def __init__(self, channel: str, message_type: str) -> None:
        self.channel = channel
        self.message_type = message_type

    def __call__(self, scene: Scene) -> Sequence[Content]:
        """Its callbacks."""
        fields: dict[str, Any] = {
            "channel": self.channel,
            "message_uuid": scene.uuid(),
            **_parties(scene, self.channel),
            "timestamp": scene.iso(),
        }
        if self.channel != "sms":
            fields["message_type"] = self.message_type
        if self.message_type in MAKERS:
            fields[self.message_type] = MAKERS[self.message_type](scene, self.channel)
        fields |= _extras(scene, self.channel, fields)
        return [
            Content(family=Family.INBOUND_MESSAGE, channel=self.channel, fields=fields, content_type=self.message_type)
        ]


RECIPES: Final = tuple(Inbound(channel, kind) for channel, kinds in TYPES.items() for kind in kinds)
