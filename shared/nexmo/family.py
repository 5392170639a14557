"""The families of callbacks and all facts about each, in one table. To add a family, add a name and a row.

Everything that differs between families is read from here: how a callback is classified, which fields identify its
event, which field names its message, and how its fields are read into an ``Event``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from ackfirst.shared.nexmo import messages_v0, messages_v1, sms
from ackfirst.shared.nexmo.content import CONTENT_MEMBERS
from ackfirst.shared.nexmo.meaning import Meaning


class Family(StrEnum):
    """What a callback is about. Decided by content, never by URL: any URL may receive any family."""

    INBOUND_MESSAGE = "inbound-message"
    """Messages API, POST JSON: a person wrote to us."""
    MESSAGE_STATUS = "message-status"
    """Messages API, POST JSON: what became of a message that we sent."""
    INBOUND_SMS = "inbound-sms"
    """SMS API, GET or form or JSON: a person wrote to us."""
    DELIVERY_RECEIPT = "delivery-receipt"
    """SMS API, GET or form or JSON: what became of an SMS that we sent."""
    OTHER = "other"
    """Readable, but none of the four: Dispatch reports, Verify events, later products."""


class Product(StrEnum):
    """Which of Nexmo's APIs sends a family, and thereby how it is encoded and signed."""

    MESSAGES = "messages"
    """JSON only; a token in ``Authorization`` covers the body."""
    SMS = "sms"
    """Flat parameters in a query, a form or JSON, every value a text; the parameter ``sig`` covers them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that is particular to one family."""

    letter: str
    """One character that begins the event ids of this family."""
    read: Callable[[dict[str, Any]], Meaning]
    """Reads the fields into the part of an ``Event`` that they determine."""
    product: Product | None = None
    """Who sends it; None for a family that any product may send."""
    message_id: str | None = None
    """Field that holds Nexmo's id of the message."""
    identity: tuple[str, ...] = ()
    """Fields that together identify an event: all of them must have a value, or the body identifies it instead."""
    optional_identity: tuple[str, ...] = ()
    """Fields that identify an event as well, where they are present."""
    required: tuple[str, ...] = ()
    """A callback is of this family only if each of these fields has a value,"""
    any_of: frozenset[str] = frozenset()
    """and if one of these is present, with or without a value. Empty: no such condition."""


def _messages_meaning(fields: dict[str, Any]) -> Meaning:
    """Read v1 or v0.1, told apart for each callback: any application, account or message may use either."""
    return messages_v0.meaning(fields) if messages_v0.is_v0(fields) else messages_v1.meaning(fields)


#: In the order in which ``classify`` tries them. Statuses come first, because a status may quote the message's content.
FAMILIES: Final[Mapping[Family, Facts]] = MappingProxyType(
    {
        Family.MESSAGE_STATUS: Facts(
            letter="s",
            product=Product.MESSAGES,
            message_id="message_uuid",
            identity=("message_uuid", "status"),
            required=("message_uuid", "status"),
            read=_messages_meaning,
        ),
        Family.INBOUND_MESSAGE: Facts(
            letter="m",
            product=Product.MESSAGES,
            message_id="message_uuid",
            identity=("message_uuid",),
            required=("message_uuid",),
            # v0.1 nests all content in "message"; an MMS with several attachments has "content"; "unsupported" is a
            # message_type without any content.
            any_of=frozenset({*CONTENT_MEMBERS, "message", "message_type", "content"}),
            read=_messages_meaning,
        ),
        Family.DELIVERY_RECEIPT: Facts(
            letter="d",
            product=Product.SMS,
            message_id="messageId",
            identity=("messageId", "status"),
            optional_identity=("err-code",),
            required=("messageId", "msisdn", "status"),
            read=sms.receipt_meaning,
        ),
        Family.INBOUND_SMS: Facts(
            letter="i",
            product=Product.SMS,
            message_id="messageId",
            identity=("messageId",),
            required=("messageId", "msisdn"),
            any_of=frozenset({"text", "data", "type"}),
            read=sms.inbound_meaning,
        ),
        # Dispatch reports and Verify events resemble Messages callbacks, and are read as such.
        Family.OTHER: Facts(letter="o", read=_messages_meaning),
    }
)

#: The path that the documentation recommends for each family. Ingest accepts every family on any of them.
WEBHOOKS: Final[Mapping[Family, str]] = MappingProxyType(
    {family: f"/webhooks/{family.value}" for family in Family if family is not Family.OTHER}
)
