"""Define the event that a handler receives: one shape for every API version, channel and transport."""

import json
from datetime import datetime
from typing import Any

from ackfirst.shared.nexmo.status import status_rank
from ackfirst.shared.nexmo.values import encodable
from ackfirst.shared.record import field_names, named_record, record


@record
class EventError:
    """Why a message failed, as the provider put it."""

    code: str
    """Always text: ``"1490"`` (Messages API, ``error.title``), ``"6"`` (SMS API, ``err-code``), or the title as sent.

    Empty where the provider described an error without naming it."""
    reason: str | None = None
    """Human text: v1 ``error.detail``, v0.1 ``error.reason``, the meaning of a receipt's ``err-code``."""
    type: str | None = None
    """URL of the documentation (v1 only)."""
    instance: str | None = None
    """Trace id to give to Vonage's support (v1 only)."""


@record
class Price:
    """The cost of the message."""

    amount: str
    """Decimal number as text, exactly as sent: never a float."""
    currency: str
    """ISO 4217, ``EUR`` where the provider names none (the SMS API bills in euro)."""


@named_record
class Event:
    """One event, normalised over Messages v1, Messages v0.1 and the SMS API.

    Unknown channels, statuses, types and fields are carried as they came; ``payload`` has everything.
    """

    id: str
    """Family letter, ``-``, 32 hex digits. The same for every delivery of the same event."""
    family: str
    """``inbound-message``, ``message-status``, ``inbound-sms``, ``delivery-receipt`` or ``other``."""
    channel: str | None
    """``sms`` ``mms`` ``rcs`` ``whatsapp`` ``messenger`` ``viber_service`` ``email``, or a new one. None: not said."""
    message_id: str | None
    """v1 and v0.1 ``message_uuid``, SMS API ``messageId``. Opaque."""
    status: str | None
    """Lower case. Messages: submitted, delivered, read, rejected, undeliverable. Receipts: accepted, buffered,
    delivered, expired, failed, rejected, unknown. None for inbound messages."""
    sender: str | None
    """Number without ``+``, or an id. Of a receipt: *our* sender id."""
    recipient: str | None
    """Number without ``+``, or an id. Of a receipt: the phone that we wrote to."""
    text: str | None
    """What a person would read: the message's text, else a caption, a button's text, a reply's title, a place's name,
    an emoji (``ackfirst.shared.nexmo.content`` has the table). Empty for an empty text, None if there is none."""
    content_type: str | None
    """``text``, ``image``, …: v1 ``message_type``, v0.1 ``content.type``, ``text`` where only a text is there (SMS
    API: ``text`` also for ``unicode``, or ``binary``)."""
    occurred_at: datetime | None
    """When it happened according to the provider, UTC; None if it said nothing readable."""
    received_at: datetime
    """When ingest read the request, UTC."""
    account: str | None
    """Nexmo ``api_key`` of the account."""
    application_id: str | None
    """Nexmo application; None for account-level callbacks."""
    client_ref: str | None
    """The reference that was given when the message was sent."""
    error: EventError | None
    """Why it failed; None unless the provider said."""
    price: Price | None
    """What it cost; None unless the provider said."""
    payload: dict[str, Any]
    """The parameters or the JSON object as sent, except that U+FFFD stands for what UTF-8 cannot hold (undecodable
    bytes, lone surrogates), here as in every text of the event. Of the SMS API every value is a text: the one that
    ``sig`` covers."""
    raw: bytes
    """The request's body, byte for byte. For a GET, its query string without parameters of the webhook's own URL."""

    @property
    def status_rank(self) -> int:
        """Place of the status in a message's life: 10 submitted, 20 delivered, 30 read, 40 failed; 0 without a status.

        Store it beside the status, and update only where the stored rank is lower: callbacks arrive in any order.
        """
        return status_rank(self.status)

    def supersedes(self, previous_status: str | None) -> bool:
        """Return whether this status replaces the one that is stored; None: none is stored. A stored failure stays."""
        return self.status_rank > status_rank(previous_status)

    def as_dict(self) -> dict[str, Any]:
        """Copy the event into JSON-ready values: times as ISO 8601 text, ``raw`` as text with U+FFFD where needed."""
        fields = {name: getattr(self, name) for name in field_names(type(self))}
        return {name: _plain(value) for name, value in fields.items()}

    def as_json(self) -> str:
        """Write ``as_dict`` as JSON text."""
        return json.dumps(self.as_dict())


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case bytes():
            return value.decode("utf-8", "replace")
        case EventError() | Price():
            return {name: getattr(value, name) for name in field_names(type(value))}
        case _:
            return encodable(value)
