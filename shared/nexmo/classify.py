"""Which family a callback belongs to: by content, for one URL may receive every family and every API version."""

from typing import Any, Final

from ackfirst.shared.nexmo.callback import Family
from ackfirst.shared.nexmo.reading import Reading
from ackfirst.shared.nexmo.values import given

#: Members of a v1 message that hold its content; each is named after the ``message_type``.
CONTENT_MEMBERS: Final = (
    "text", "image", "audio", "video", "file", "vcard", "location", "reply", "button", "contacts", "order", "sticker",
    "reaction",
)  # fmt: skip

# v0.1 nests all content in "message"; an MMS with several attachments has "content"; "unsupported" has a type only.
_INBOUND_MESSAGE: Final = frozenset({*CONTENT_MEMBERS, "message", "message_type", "content"})
_INBOUND_SMS: Final = frozenset({"text", "data", "type"})

_ID_FIELDS: Final = {
    Family.INBOUND_MESSAGE: "message_uuid",
    Family.MESSAGE_STATUS: "message_uuid",
    Family.INBOUND_SMS: "messageId",
    Family.DELIVERY_RECEIPT: "messageId",
}


def classify(reading: Reading) -> Family:
    """The family that the fields speak of; ``OTHER`` for Dispatch reports, Verify events and whatever comes next.

    The Messages API sends JSON only, the SMS API any encoding. A status decides before content does.
    """
    fields = reading.fields
    if reading.encoding == "json" and given(fields.get("message_uuid")):
        return _messages_family(fields)
    if given(fields.get("messageId")) and given(fields.get("msisdn")):
        return _sms_family(fields)
    return Family.OTHER


def message_id(family: Family, fields: dict[str, Any]) -> str | None:
    """Nexmo's id of the message, as text that UTF-8 can hold; None where the family has none, or it is not usable."""
    name = _ID_FIELDS.get(family)
    text = given(fields.get(name)) if name else None
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()


def _messages_family(fields: dict[str, Any]) -> Family:
    if given(fields.get("status")):
        return Family.MESSAGE_STATUS
    return Family.OTHER if _INBOUND_MESSAGE.isdisjoint(fields) else Family.INBOUND_MESSAGE


def _sms_family(fields: dict[str, Any]) -> Family:
    if given(fields.get("status")):
        return Family.DELIVERY_RECEIPT
    return Family.OTHER if _INBOUND_SMS.isdisjoint(fields) else Family.INBOUND_SMS
