"""Messages API v0.1: the nested shape of inbound messages and statuses that older applications still receive."""

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
        "mms": ("image",),
        "whatsapp": ("text", *_MEDIA, "location", "button", "unsupported"),
        "messenger": ("text", *_MEDIA, "unsupported"),
        "viber_service": ("text", "image", "video", "file", "unsupported"),
    }
)
"""Channel → content types."""


def _parties(scene: Scene, channel: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the account's side and the person's side of a message, as v0.1 nests them."""
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
    """Makes an inbound message of one channel and content type."""

    def __init__(self, channel: str, kind: str) -> None:
        self.channel = channel
        self.kind = kind

    def __call__(self, scene: Scene) -> Sequence[Content]:
        """Make the callback."""
        ours, theirs = _parties(scene, self.channel)
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


STATUS_CHANNELS: Final = ("sms", "mms", "whatsapp", "messenger", "viber_service")


class Statuses:
    """Makes the statuses of one message on one channel, in their order."""

    def __init__(self, channel: str, statuses: tuple[str, ...]) -> None:
        self.channel = channel
        self.statuses = statuses

    def __call__(self, scene: Scene) -> Sequence[Content]:
        """Make the callbacks."""
        ours, theirs = _parties(scene, self.channel)
        common: dict[str, Any] = {"message_uuid": scene.uuid(), "to": theirs, "from": ours}
        if scene.chance(0.5):
            common["client_ref"] = f"inv-{scene.digits(4)}"
        return [self._one(scene, common, status) for status in self.statuses]

    def _one(self, scene: Scene, common: dict[str, Any], status: str) -> Content:
        fields = {**common, "timestamp": scene.iso(), "status": status}
        if status in FAILURES:
            code, reason = scene.rng.choice(error_codes(self.channel))
            fields["error"] = {"code": int(code), "reason": reason}
        else:
            fields["usage"] = {"currency": "EUR", "price": scene.price()}
        return Content(
            family=Family.MESSAGE_STATUS, channel=self.channel, fields=fields, content_type=None, status=status
        )


RECIPES: Final[tuple[Recipe, ...]] = (
    *(Inbound(channel, kind) for channel, kinds in TYPES.items() for kind in kinds),
    *(Statuses(channel, statuses) for channel in STATUS_CHANNELS for statuses in status_sequences(channel)),
)
