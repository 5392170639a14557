"""The contents of a message besides plain text: one function for each message type (Messages API v1 spelling)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from ackfirst.simulator.content.scene import Scene

Maker = Callable[[Scene, str], Any]
"""Takes the scene and the channel, because some channels have more members than others."""


def _media(suffix: str, *, captioned: bool) -> Maker:
    def make(scene: Scene, channel: str) -> dict[str, Any]:
        media = {"url": scene.url(suffix)}
        if scene.chance(0.5):
            media["name"] = f"harbour-{scene.digits(3)}.{suffix}"
        if captioned and channel == "mms":
            media["caption"] = scene.text()
        return media

    return make


def _location(scene: Scene, channel: str) -> dict[str, Any]:
    place = {"lat": round(scene.rng.uniform(-60, 70), 6), "long": round(scene.rng.uniform(-180, 180), 6)}
    if channel == "whatsapp":
        return {**place, "name": "Harbour office", "address": "1 Quay Street", "url": "https://harbour.example/office"}
    return place


def _reply(scene: Scene, channel: str) -> dict[str, Any]:
    chosen = {"id": f"berth-{scene.digits(1)}", "title": "Berth at the north pier"}
    return {**chosen, "description": "12 m, with power"} if channel == "whatsapp" else chosen


def _button(scene: Scene, channel: str) -> dict[str, Any]:
    if channel == "whatsapp":
        payload = {"flow_token": f"ft-{scene.digits(3)}", "choice": scene.rng.choice(("north", "south"))}
        return {"payload": payload, "text": "sent", "subtype": "flow"}
    return {"payload": f"confirm-{scene.digits(4)}", "text": "Confirm"}


def _contacts(scene: Scene, _channel: str) -> list[dict[str, Any]]:
    first, last = scene.name()
    return [
        {
            "name": {"formatted_name": f"{first} {last}", "first_name": first, "last_name": last},
            "phones": [{"phone": scene.phone(), "type": "work"}],
            "emails": [{"email": "office@harbour.example", "type": "work"}],
            "addresses": [{"city": "Kiel", "country": "Germany", "country_code": "DE", "type": "home"}],
            "birthday": "1984-05-17",
            "urls": [{"url": "https://harbour.example", "type": "work"}],
        }
    ]


def _order(scene: Scene, _channel: str) -> dict[str, Any]:
    item = {"product_retailer_id": f"rope-{scene.digits(2)}", "quantity": "2", "item_price": "7.50", "currency": "EUR"}
    return {"catalog_id": scene.digits(15), "product_items": [item]}


def _reaction(scene: Scene, _channel: str) -> dict[str, Any]:
    return {"action": "react", "emoji": "👍"} if scene.chance(0.7) else {"action": "unreact"}


def _attachments(scene: Scene, _channel: str) -> list[dict[str, Any]]:
    return [{"type": "image", "url": scene.url("jpg")}, {"type": "vcard", "url": scene.url("vcf")}]


MAKERS: Final[Mapping[str, Maker]] = MappingProxyType(
    {
        "text": lambda scene, _channel: scene.text(),
        "image": _media("jpg", captioned=True),
        "audio": _media("mp3", captioned=False),
        "video": _media("mp4", captioned=False),
        "file": _media("pdf", captioned=True),
        "vcard": _media("vcf", captioned=False),
        "sticker": lambda scene, _channel: {"url": scene.url("webp")},
        "location": _location,
        "reply": _reply,
        "button": _button,
        "contacts": _contacts,
        "order": _order,
        "reaction": _reaction,
        "content": _attachments,
    }
)
"""Message type → function that makes the member of that name. ``unsupported`` has no member."""
