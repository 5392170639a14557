"""Conversations: a person writes, statuses of our reply follow, and half of the persons write again."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from ackfirst.simulator.content import messages_v0, messages_v1, sms
from ackfirst.simulator.content.scene import Content, Recipe, Scene

#: Takes the fields of a person's message; returns sender and recipient as the statuses of our reply name them.
Readdress = Callable[[dict[str, Any]], dict[str, Any]]


def _swapped(inbound: dict[str, Any]) -> dict[str, Any]:
    """Messages API: our reply swaps sender and recipient."""
    return {"to": inbound["from"], "from": inbound["to"]}


def _unchanged(inbound: dict[str, Any]) -> dict[str, Any]:
    """SMS API: ``msisdn`` is the person's number in both directions."""
    return {"msisdn": inbound["msisdn"], "to": inbound["to"]}


class Conversation:
    """Combines the recipes of one channel's messages and statuses, with the same two parties throughout."""

    def __init__(self, message: Recipe, statuses: Recipe, readdress: Readdress) -> None:
        self._message = message
        self._statuses = statuses
        self._readdress = readdress

    def __call__(self, scene: Scene) -> Sequence[Content]:
        """Make the person's message, then each status of our reply; half of the time a second message."""
        first = list(self._message(scene))
        about = first[0].fields
        reports = [self._addressed(about, report) for report in self._statuses(scene)]
        last = [self._from_same(about, again) for again in self._message(scene)] if scene.chance(0.5) else []
        return [*first, *reports, *last]

    def _addressed(self, about: dict[str, Any], report: Content) -> Content:
        return replace(report, fields={**report.fields, **self._readdress(about)})

    @staticmethod
    def _from_same(about: dict[str, Any], again: Content) -> Content:
        names = ("to", "from", "msisdn", "profile", "whatsapp")
        parties = {name: about[name] for name in names if name in about}
        return replace(again, fields={**again.fields, **parties})


def _messages_v1() -> list[Recipe]:
    without_read = {"sms": ("submitted", "delivered"), "mms": ("submitted", "delivered")}
    return [
        Conversation(
            messages_v1.Inbound(channel, "text"),
            messages_v1.Statuses(channel, without_read.get(channel, ("submitted", "delivered", "read"))),
            _swapped,
        )
        for channel in messages_v1.TYPES
    ]


def _messages_v0() -> list[Recipe]:
    return [
        Conversation(
            messages_v0.Inbound(channel, messages_v0.TYPES[channel][0]),
            messages_v0.Statuses(channel, ("submitted", "delivered")),
            _swapped,
        )
        for channel in messages_v0.TYPES
    ]


def _sms_api() -> list[Recipe]:
    return [
        Conversation(sms.Inbound(sms.plain, transport), sms.Receipts(("accepted", "delivered"), transport), _unchanged)
        for transport in sms.TRANSPORTS
    ]


RECIPES: Final[tuple[Recipe, ...]] = (*_messages_v1(), *_messages_v0(), *_sms_api())
