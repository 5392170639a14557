"""SMS API: inbound SMS and delivery receipts, by GET, form and JSON."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.content.scene import Content, Recipe, Scene, Transport
from ackfirst.simulator.content.statuses import RECEIPT_SEQUENCES

TRANSPORTS: Final[tuple[Transport, ...]] = ("query", "form", "json")
_ERR_CODES: Final = {"expired": ("2", "8"), "failed": ("1", "7", "12"), "rejected": ("4", "6", "9"), "unknown": ("1",)}

Shape = Callable[[Scene], list[dict[str, Any]]]
"""The parameters of each part of one inbound SMS, without those that every SMS has."""


def plain(scene: Scene) -> list[dict[str, Any]]:
    """Return the parameters of a text in one part."""
    text = scene.text()
    return [{"text": text, "type": "text" if text.isascii() else "unicode", "keyword": text.split()[0].upper()}]


def _binary(scene: Scene) -> list[dict[str, Any]]:
    content = {"type": "binary", "data": scene.hex_id(28), "udh": "06050415811581"}
    # The schema asks for a text here too, the vendor's guide says that data replaces it.
    return [{**content, "text": scene.hex_id(8)} if scene.chance(0.3) else content]


def _long(scene: Scene) -> list[dict[str, Any]]:
    words = ("We are", "three boats", "from Oslo")
    reference = scene.digits(2)
    return [
        {
            "text": text,
            "type": "text",
            "keyword": text.split()[0].upper(),
            "concat": "true",
            "concat-ref": reference,
            "concat-total": str(len(words)),
            "concat-part": str(part),
        }
        for part, text in enumerate(words, start=1)
    ]


class Inbound:
    """Makes one shape of inbound SMS over one transport."""

    def __init__(self, shape: Shape, transport: Transport) -> None:
        self.shape = shape
        self.transport = transport

    def __call__(self, scene: Scene) -> Sequence[Content]:
        """Make the callbacks."""
        common = {"msisdn": scene.phone(), "to": "12015550142"}
        return [self._one(scene, {**common, **part}) for part in self.shape(scene)]

    def _one(self, scene: Scene, fields: dict[str, Any]) -> Content:
        fields |= {"messageId": scene.hex_id(), "message-timestamp": scene.clock()}
        return Content(
            family=Family.INBOUND_SMS,
            channel="sms",
            fields=fields,
            content_type="binary" if fields["type"] == "binary" else "text",
            transport=self.transport,
        )


class Receipts:
    """Makes the receipts of one outbound SMS over one transport, in their order."""

    def __init__(self, statuses: tuple[str, ...], transport: Transport) -> None:
        self.statuses = statuses
        self.transport = transport

    def __call__(self, scene: Scene) -> Sequence[Content]:
        """Make the callbacks."""
        common = {
            "msisdn": scene.phone(),
            "to": scene.sender(),
            "network-code": scene.network(),
            "messageId": scene.hex_id(),
            "price": scene.price(),
        }
        if scene.chance(0.4):
            common["client-ref"] = f"inv-{scene.digits(4)}"
        return [self._one(scene, common, status) for status in self.statuses]

    def _one(self, scene: Scene, common: dict[str, str], status: str) -> Content:
        fields = {
            **common,
            "status": status,
            "err-code": scene.rng.choice(_ERR_CODES.get(status, ("0",))),
            "scts": scene.carrier_clock(),
            "message-timestamp": scene.clock(),
        }
        return Content(
            family=Family.DELIVERY_RECEIPT,
            channel="sms",
            fields=fields,
            content_type=None,
            status=status,
            transport=self.transport,
        )


RECIPES: Final[tuple[Recipe, ...]] = (
    *(Inbound(shape, transport) for shape in (plain, _binary, _long) for transport in TRANSPORTS),
    *(Receipts(statuses, transport) for statuses in RECEIPT_SEQUENCES for transport in TRANSPORTS),
)
