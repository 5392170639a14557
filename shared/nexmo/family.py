"""The families of callbacks, with all facts about each. To add a family, add a member.

Everything that differs between families is read from here: how a callback is classified, which fields identify its
event, which field names its message, and how its fields are read into an ``Event``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self

from ackfirst.shared.nexmo import messages_v0, messages_v1, sms
from ackfirst.shared.nexmo.content import CONTENT_MEMBERS
from ackfirst.shared.nexmo.meaning import Meaning
from ackfirst.shared.nexmo.values import given


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
    absent: str | None = None
    """and if this field has none,"""
    any_of: frozenset[str] = frozenset()
    """and if one of these is present, with or without a value. Empty: no such condition."""

    def fits(self, fields: dict[str, Any]) -> bool:
        """Check that a callback with these fields is of this family."""
        for name in self.required:
            if given(fields.get(name)) is None:
                return False
        if self.absent is not None and given(fields.get(self.absent)) is not None:
            return False
        return not self.any_of or not self.any_of.isdisjoint(fields)


def _messages_meaning(fields: dict[str, Any]) -> Meaning:
    """Read v1 or v0.1, decided for each callback: any application, account or message may use either."""
    return messages_v0.meaning(fields) if messages_v0.is_v0(fields) else messages_v1.meaning(fields)


#: Callbacks of no known family resemble those of the Messages API, and are read as such.
_FACTS_OF_OTHER: Final = Facts(letter="o", read=_messages_meaning)


class Family(StrEnum):
    """The subject of a callback. Decided by content, never by URL: any URL may receive any family.

    A callback that fits several is of the first that it fits.
    """

    facts: Facts

    def __new__(cls, value: str, facts: Facts = _FACTS_OF_OTHER) -> Self:
        """Make a member that is equal to its name, such as ``inbound-message``."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.facts = facts
        return member

    INBOUND_MESSAGE = (
        "inbound-message",
        Facts(
            letter="m",
            product=Product.MESSAGES,
            message_id="message_uuid",
            identity=("message_uuid",),
            required=("message_uuid",),
            absent="status",  # a status may quote the content of its message
            # v0.1 nests all content in "message"; an MMS with several attachments has "content"; "unsupported" is a
            # message_type without any content.
            any_of=frozenset({*CONTENT_MEMBERS, "message", "message_type", "content"}),
            read=_messages_meaning,
        ),
    )
    """Messages API, POST JSON: a person wrote to us."""
    MESSAGE_STATUS = (
        "message-status",
        Facts(
            letter="s",
            product=Product.MESSAGES,
            message_id="message_uuid",
            identity=("message_uuid", "status"),
            required=("message_uuid", "status"),
            read=_messages_meaning,
        ),
    )
    """Messages API, POST JSON: what became of a message that we sent."""
    INBOUND_SMS = (
        "inbound-sms",
        Facts(
            letter="i",
            product=Product.SMS,
            message_id="messageId",
            identity=("messageId",),
            required=("messageId", "msisdn"),
            absent="status",
            any_of=frozenset({"text", "data", "type"}),
            read=sms.inbound_meaning,
        ),
    )
    """SMS API, GET or form or JSON: a person wrote to us."""
    DELIVERY_RECEIPT = (
        "delivery-receipt",
        Facts(
            letter="d",
            product=Product.SMS,
            message_id="messageId",
            identity=("messageId", "status"),
            optional_identity=("err-code",),
            required=("messageId", "msisdn", "status"),
            read=sms.receipt_meaning,
        ),
    )
    """SMS API, GET or form or JSON: what became of an SMS that we sent."""
    OTHER = "other"
    """Readable, but none of the four: Dispatch reports, Verify events, later products."""


#: The path that the documentation recommends for each family. Ingest accepts every family on any of them.
WEBHOOKS: Final[Mapping[Family, str]] = MappingProxyType(
    {family: f"/webhooks/{family.value}" for family in Family if family is not Family.OTHER}
)
