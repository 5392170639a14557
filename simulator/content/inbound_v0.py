"""Messages API v0.1, inbound messages: the nested shape that older applications still receive."""

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
        "mms": ("image",),
        "whatsapp": ("text", *_MEDIA, "location", "button", "unsupported"),
        "messenger": ("text", *_MEDIA, "unsupported"),
        "viber_service": ("text", "image", "video", "file", "unsupported"),
    }
)
"""Channel → content types."""


def parties(scene: Scene, channel: str) -> tuple[dict[str, str], dict[str, str]]:
    """Our side and the person's side of a message, as v0.1 nests them."""
    match channel:
        case "messenger":
            return {"type": channel, "id": scene.digits(15)}, {"type": channel, "id": scene.digits(16)}
        case "viber_service":
            kind = "viber_service_msg"
            return {"type": kind, "id": scene.digits(5)}, {"type": kind, "number": scene.phone()}
        case _:
            return {"type": channel, "number": "12015550142"}, {"type": channel, "number": scene.phone()}


def _location(scene: Scene) -> dict[str, str]:
    latitude, longitude = scene.rng.uniform(-60, 70), scene.rng.uniform(-180, 180)
    return {
        "latitude": f"{latitude:.6f}",
        "longitude": f"{longitude:.6f}",
        "name": "Harbour office",
        "address": "1 Quay Street",
    }


def _part(scene: Scene, kind: str) -> Any:
    if kind == "location":
        return _location(scene)
    # Quick replies of v0.1 have a text payload on every channel, as RCS has in v1.
    return MAKERS[kind](scene, "rcs" if kind == "button" else "mms")


class Inbound:
    """The recipe for one channel and content type."""

    def __init__(self, channel: str, kind: str) -> None:
        self.channel = channel
        self.kind = kind

    def __call__(self, scene: Scene) -> Sequence[Content]:
        """Its callbacks."""
        ours, theirs = parties(scene, self.channel)
        content: dict[str, Any] = {"type": self.kind}
        if self.kind != "unsupported":
            content[self.kind] = _part(scene, self.kind)
        fields: dict[str, Any] = {
            "message_uuid": scene.uuid(),
            "timestamp": scene.iso(),
            "to": ours,
            "from": theirs,
            "message": {"content": content},
        }
        if self.channel == "sms":
            fields["message"]["sms"] = {"num_messages": "1"}
            fields["usage"] = {"currency": "EUR", "price": scene.price()}
        if scene.chance(0.2):
            fields["direction"] = "inbound"
        return [Content(family=Family.INBOUND_MESSAGE, channel=self.channel, fields=fields, content_type=self.kind)]


RECIPES: Final = tuple(Inbound(channel, kind) for channel, kinds in TYPES.items() for kind in kinds)
