"""What a handler calls a thing, and where on the wire it stands: per family and version."""

from typing import Any, Final

from ackfirst.shared.nexmo.family import Family

_SMS: Final = (Family.INBOUND_SMS, Family.DELIVERY_RECEIPT)

#: Name of the event's field → parameter; of a receipt, ``to`` is our side and ``msisdn`` the person's.
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
_MEMBERS: Final = {"sender": "from", "recipient": "to", "message_id": "message_uuid", "client_ref": "client_ref"}


def say(family: Family, fields: dict[str, Any], name: str, value: str) -> None:
    """Put ``value`` where that family says ``name``.

    Raises:
        ValueError: It has no such place.
    """
    if family in _SMS:
        fields[_place(family, _PARAMETERS[family], name)] = value
    elif name == "text" and family is Family.INBOUND_MESSAGE:
        _say_text(fields, value)
    elif name == "error" and family is Family.MESSAGE_STATUS:
        fields["error"] = _error(fields, value)
    else:
        member = _place(family, _MEMBERS, name)
        party = fields.get(member)
        fields[member] = {**party, _key(party): value} if isinstance(party, dict) else value


def _place(family: Family, places: dict[str, str], name: str) -> str:
    if name not in places:
        raise ValueError(f"{family} has no {name}=: say it with fields=")
    return places[name]


def _say_text(fields: dict[str, Any], value: str) -> None:
    nested = fields.get("message")
    content = nested["content"] if nested else fields
    if "text" not in content:
        raise ValueError("only a text has text=: say anything else with fields=")
    if nested:
        fields["message"] = {**nested, "content": {**content, "text": value}}
    else:
        fields["text"] = value


def _error(fields: dict[str, Any], code: str) -> dict[str, Any]:
    if isinstance(fields.get("to"), dict):
        return {"code": int(code), "reason": "Made up for a test"}
    kind = f"https://developer.vonage.com/api-errors/messages#{code}"
    return {"type": kind, "title": code, "detail": "Made up for a test", "instance": "a-trace"}


def _key(party: dict[str, str]) -> str:
    """Of a nested party: ``number`` or ``id``."""
    return next(name for name in party if name != "type")
