"""The HTTP request as it arrived, and the four families it may belong to."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from ackfirst.shared.record import record


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
    """Readable, but none of the four: Dispatch reports, Verify events, whatever comes next."""

    @property
    def letter(self) -> str:
        """One character that begins the event ids of this family."""
        return _LETTERS[self]


#: Where each family is best sent. Ingest takes any family on any of them.
WEBHOOKS: Final[Mapping[Family, str]] = MappingProxyType(
    {family: f"/webhooks/{family.value}" for family in Family if family is not Family.OTHER}
)

_LETTERS = {
    Family.INBOUND_MESSAGE: "m",
    Family.MESSAGE_STATUS: "s",
    Family.INBOUND_SMS: "i",
    Family.DELIVERY_RECEIPT: "d",
    Family.OTHER: "o",
}


@record
class Callback:
    """One HTTP request from the provider, before anybody believes it.

    Text fields hold what was on the wire; bytes that are not UTF-8 appear as surrogate escapes (PEP 383), as
    HTTP servers hand them over.
    """

    method: str
    """Upper case: ``GET``, ``HEAD`` or ``POST``."""
    path: str
    """Path of the URL without the query."""
    query: str
    """Query string without ``?``, still percent-encoded; empty when there is none."""
    content_type: str
    """Header value as sent; empty when absent."""
    authorization: str
    """Header value as sent; empty when absent. Holds a token: never log it."""
    body: bytes
    """Exactly the bytes on the wire: ``payload_hash`` is over them."""
    received_at: float
    """Unix seconds at which the request was read."""

    @property
    def is_empty(self) -> bool:
        """No body and no parameters: Nexmo checks that the URL answers 200 when it is saved."""
        return not self.body and not self.query
