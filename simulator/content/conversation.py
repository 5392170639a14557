"""Conversations: a person writes, our reply is reported on, the person writes again; the same two throughout."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from ackfirst.simulator.content import inbound_v0, inbound_v1, sms, status_v0, status_v1
from ackfirst.simulator.content.model import Content, Recipe
from ackfirst.simulator.content.scene import Scene

#: From a person's message: the parties as reports on our answer to it name them.
Readdress = Callable[[dict[str, Any]], dict[str, Any]]


def _turned(inbound: dict[str, Any]) -> dict[str, Any]:
    """Messages API: what a person's message goes to, our answer comes from."""
    return {"to": inbound["from"], "from": inbound["to"]}


def _kept(inbound: dict[str, Any]) -> dict[str, Any]:
    """SMS API: ``msisdn`` is always the person's number."""
    return {"msisdn": inbound["msisdn"], "to": inbound["to"]}


class Conversation:
    """The recipe of one channel: made of that for its messages and that for its reports."""

    def __init__(self, says: Recipe, reports: Recipe, readdress: Readdress) -> None:
        self._says = says
        self._reports = reports
        self._readdress = readdress

    def __call__(self, scene: Scene) -> Sequence[Content]:
        """First the person's message, then each report on our answer; in half of them the person has the last word."""
        first = list(self._says(scene))
        about = first[0].fields
        reports = [self._addressed(about, report) for report in self._reports(scene)]
        last = [self._from_same(about, again) for again in self._says(scene)] if scene.chance(0.5) else []
        return [*first, *reports, *last]

    def _addressed(self, about: dict[str, Any], report: Content) -> Content:
        return replace(report, fields={**report.fields, **self._readdress(about)})

    @staticmethod
    def _from_same(about: dict[str, Any], again: Content) -> Content:
        names = ("to", "from", "msisdn", "profile", "whatsapp")
        parties = {name: about[name] for name in names if name in about}
        return replace(again, fields={**again.fields, **parties})


def _messages_v1() -> list[Recipe]:
    good = {"sms": ("submitted", "delivered"), "mms": ("submitted", "delivered")}
    return [
        Conversation(
            inbound_v1.Inbound(channel, "text"),
            status_v1.Statuses(channel, good.get(channel, ("submitted", "delivered", "read"))),
            _turned,
        )
        for channel in inbound_v1.TYPES
    ]


def _messages_v0() -> list[Recipe]:
    return [
        Conversation(
            inbound_v0.Inbound(channel, inbound_v0.TYPES[channel][0]),
            status_v0.Statuses(channel, ("submitted", "delivered")),
            _turned,
        )
        for channel in inbound_v0.TYPES
    ]


def _sms_api() -> list[Recipe]:
    return [
        Conversation(sms.Inbound(sms.plain, transport), sms.Receipts(("accepted", "delivered"), transport), _kept)
        for transport in sms.TRANSPORTS
    ]


RECIPES: Final[tuple[Recipe, ...]] = (*_messages_v1(), *_messages_v0(), *_sms_api())
