"""Make one callback with chosen fields, for tests of handlers: a recipe of the traffic, overridden field by field."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final, TypeVar

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.content import Content, Recipe, Scene, messages_v0, messages_v1, other, sms
from ackfirst.simulator.content.scene import Transport

_V0: Final = "v0.1"

#: Field of the event → SMS parameter. In a receipt, ``to`` is the account's side and ``msisdn`` the person's.
_PARAMETERS: Final = {
    Family.INBOUND_SMS: {"sender": "msisdn", "recipient": "to", "text": "text", "message_id": "messageId"},
    Family.DELIVERY_RECEIPT: {
        "sender": "to",
        "recipient": "msisdn",
        "message_id": "messageId",
        "client_ref": "client-ref",
        "error": "err-code",
    },
}
#: Field of the event → member of the JSON object, in all other families.
_MEMBERS: Final = {"sender": "from", "recipient": "to", "message_id": "message_uuid", "client_ref": "client_ref"}

Text = TypeVar("Text", bound=str)


@dataclass(frozen=True, slots=True)
class _Options:
    """Options for callbacks of the Messages API; None chooses the usual value."""

    channel: str | None
    status: str | None
    content_type: str | None
    is_v0: bool


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
    **overrides: str,
) -> Content:
    """Make a callback of ``family`` with the given fields; ``rng`` fills in the rest.

    Args:
        family: ``inbound-message``, ``message-status``, ``inbound-sms``, ``delivery-receipt`` or ``other``.
        rng: Source of the ids, numbers and texts that are not given.
        at: Unix seconds of its timestamp.
        channel: Of the Messages API. Default: ``whatsapp``, for statuses ``sms``.
        status: Of a status or a receipt. Default: ``delivered``.
        content_type: Of an inbound message. Default: ``text``.
        version: Of the Messages API: ``v1`` or ``v0.1``.
        transport: Of the SMS API: ``query``, ``form`` or ``json``.
        fields: Members or parameters, named as in the request. They override everything else.
        overrides: ``text``, ``sender``, ``recipient``, ``message_id``, ``client_ref`` or ``error`` (a code).

    Raises:
        ValueError: There is no such callback; the message names the possible values.
    """
    try:
        kind = Family(family)
    except ValueError:
        raise ValueError(f"no family is called {family!r}: use one of {', '.join(Family)}") from None
    _check("version", version, ("v1", _V0))
    options = _Options(channel, status, content_type, version == _V0)
    content = _recipe(kind, options, transport)(Scene(rng, at))[0]
    made = dict(content.fields)
    for name, value in overrides.items():
        _override(kind, made, name, value)
    return replace(content, fields=made | dict(fields or {}))


def _recipe(family: Family, options: _Options, transport: Transport) -> Recipe:
    statuses = (options.status or "delivered",)
    match family:
        case Family.INBOUND_MESSAGE:
            return _inbound(options)
        case Family.MESSAGE_STATUS:
            channels = messages_v0.STATUS_CHANNELS if options.is_v0 else messages_v1.STATUS_CHANNELS
            channel = _check("channel", options.channel or "sms", channels)
            return (messages_v0.Statuses if options.is_v0 else messages_v1.Statuses)(channel, statuses)
        case Family.INBOUND_SMS:
            return sms.Inbound(sms.plain, _check("transport", transport, sms.TRANSPORTS))
        case Family.DELIVERY_RECEIPT:
            return sms.Receipts(statuses, _check("transport", transport, sms.TRANSPORTS))
        case _:
            return other.dispatch_report


def _inbound(options: _Options) -> Recipe:
    types = messages_v0.TYPES if options.is_v0 else messages_v1.TYPES
    channel = _check("channel", options.channel or "whatsapp", types)
    default = "text" if "text" in types[channel] else types[channel][0]
    kind = _check("content_type", options.content_type or default, types[channel])
    return (messages_v0.Inbound if options.is_v0 else messages_v1.Inbound)(channel, kind)


def _check(option: str, value: Text, possible: Iterable[str]) -> Text:
    if value not in possible:
        raise ValueError(f"{option} {value!r} is not possible here: use one of {', '.join(possible)}, or fields=")
    return value


def _override(family: Family, fields: dict[str, Any], name: str, value: str) -> None:
    """Write ``value`` to the member or parameter from which the event's field ``name`` is read."""
    if family in _PARAMETERS:
        fields[_place(family, _PARAMETERS[family], name)] = value
    elif name == "text" and family is Family.INBOUND_MESSAGE:
        _override_text(fields, value)
    elif name == "error" and family is Family.MESSAGE_STATUS:
        fields["error"] = _error(fields, value)
    else:
        member = _place(family, _MEMBERS, name)
        party = fields.get(member)
        if isinstance(party, dict):  # v0.1: {"type": channel, "number" or "id": the value}
            key = next(key for key in party if key != "type")
            fields[member] = {**party, key: value}
        else:
            fields[member] = value


def _place(family: Family, places: Mapping[str, str], name: str) -> str:
    if name not in places:
        raise ValueError(f"{family} has no {name}=: give it in fields=")
    return places[name]


def _override_text(fields: dict[str, Any], value: str) -> None:
    nested = fields.get("message")
    content = nested["content"] if nested else fields
    if "text" not in content:
        raise ValueError("only content_type text has text=: give other contents in fields=")
    if nested:
        fields["message"] = {**nested, "content": {**content, "text": value}}
    else:
        fields["text"] = value


def _error(fields: dict[str, Any], code: str) -> dict[str, Any]:
    if isinstance(fields.get("to"), dict):  # v0.1
        return {"code": int(code), "reason": "Made up for a test"}
    kind = f"https://developer.vonage.com/api-errors/messages#{code}"
    return {"type": kind, "title": code, "detail": "Made up for a test", "instance": "a-trace"}
