"""One callback to order: the recipes of the traffic, saying what the caller wants instead of what chance would."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final, TypeVar

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.content import Content, Recipe, Scene, inbound_v0, inbound_v1, other, sms, status_v0, status_v1
from ackfirst.simulator.content.model import Transport
from ackfirst.simulator.saying import say

_V0: Final = "v0.1"

Text = TypeVar("Text", bound=str)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is said of a callback of the Messages API; None: whatever is usual."""

    channel: str | None
    status: str | None
    content_type: str | None
    is_old: bool
    """v0.1."""


def craft(
    family: str,
    *,
    rng: Random,
    at: float,
    channel: str | None = None,
    status: str | None = None,
    content_type: str | None = None,
    version: str = "v1",
    transport: Transport = "query",
    fields: Mapping[str, Any] | None = None,
    **said: str,
) -> Content:
    """A callback of ``family`` that says what is wanted; the rest is made up from ``rng``.

    Args:
        family: ``inbound-message``, ``message-status``, ``inbound-sms``, ``delivery-receipt`` or ``other``.
        rng: For ids, numbers and texts that nobody asked for.
        at: Unix seconds at which it happened.
        channel: Of the Messages API: ``whatsapp`` when not given, ``sms`` for statuses.
        status: Of a status or a receipt; ``delivered`` when not given.
        content_type: Of an inbound message; ``text`` when not given.
        version: Of the Messages API: ``v1`` or ``v0.1``.
        transport: Of the SMS API: ``query``, ``form`` or ``json``.
        fields: Members or parameters as on the wire, put over everything else.
        said: ``text``, ``sender``, ``recipient``, ``message_id``, ``client_ref`` or ``error`` (a code).

    Raises:
        ValueError: Such a callback cannot be made; the message says what can.
    """
    kind = _family(family)
    _among("version", version, ("v1", _V0))
    wanted = _Wanted(channel, status, content_type, version == _V0)
    content = _recipe(kind, wanted=wanted, transport=transport)(Scene(rng, at))[0]
    made = dict(content.fields)
    for name, value in said.items():
        say(kind, made, name, value)
    return replace(content, fields=made | dict(fields or {}))


def _family(name: str) -> Family:
    try:
        return Family(name)
    except ValueError:
        raise ValueError(f"no family is called {name!r}: use one of {', '.join(Family)}") from None


def _recipe(family: Family, *, wanted: "_Wanted", transport: Transport) -> Recipe:
    life = (wanted.status or "delivered",)
    match family:
        case Family.INBOUND_MESSAGE:
            return _inbound(wanted)
        case Family.MESSAGE_STATUS:
            channels = status_v0.CHANNELS if wanted.is_old else status_v1.CHANNELS
            channel = _among("channel", wanted.channel or "sms", channels)
            return status_v0.Statuses(channel, life) if wanted.is_old else status_v1.Statuses(channel, life)
        case Family.INBOUND_SMS:
            return sms.Inbound(sms.plain, _among("transport", transport, sms.TRANSPORTS))
        case Family.DELIVERY_RECEIPT:
            return sms.Receipts(life, _among("transport", transport, sms.TRANSPORTS))
        case _:
            return other.dispatch_report


def _inbound(wanted: "_Wanted") -> Recipe:
    types = inbound_v0.TYPES if wanted.is_old else inbound_v1.TYPES
    channel = _among("channel", wanted.channel or "whatsapp", types)
    default = "text" if "text" in types[channel] else types[channel][0]
    kind = _among("content_type", wanted.content_type or default, types[channel])
    return inbound_v0.Inbound(channel, kind) if wanted.is_old else inbound_v1.Inbound(channel, kind)


def _among(what: str, wanted: Text, possible: Iterable[str]) -> Text:
    if wanted not in possible:
        raise ValueError(f"{what} {wanted!r} does not occur here: use one of {', '.join(possible)}, or fields=")
    return wanted
