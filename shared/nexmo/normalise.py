"""From fields to an event: one shape for Messages v1, Messages v0.1 and the SMS API. Nothing is refused."""

from datetime import UTC, datetime
from typing import Any

from ackfirst.shared.nexmo import messages_v0, messages_v1, sms
from ackfirst.shared.nexmo.callback import Family
from ackfirst.shared.nexmo.classify import message_id
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.nexmo.meaning import Meaning
from ackfirst.shared.nexmo.reading import Reading


def normalise(
    *,
    id: str,  # noqa: A002 - the name of the event's field
    family: Family,
    reading: Reading,
    account: str | None,
    application_id: str | None,
    received_at: float,
    raw: bytes,
) -> Event:
    """The event that ``reading`` tells of. Never raises, whatever the fields hold.

    Args:
        id: The event's id (``ackfirst.shared.nexmo.identity``).
        family: What ``classify`` said of ``reading``.
        reading: The callback's fields.
        account: The ``api_key`` that verification confirmed.
        application_id: The application that the token named.
        received_at: Unix seconds.
        raw: The body, or the query of a callback without one.
    """
    return Event(
        id=id,
        family=family.value,
        message_id=message_id(family, reading.fields),
        received_at=datetime.fromtimestamp(received_at, UTC),
        account=account,
        application_id=application_id,
        payload=reading.fields,
        raw=raw,
        **_meaning(family, reading.fields),
    )


def _meaning(family: Family, fields: dict[str, Any]) -> Meaning:
    """Family ``other`` is read as a Messages callback: Dispatch reports and Verify events resemble one."""
    match family:
        case Family.INBOUND_SMS:
            return sms.inbound_meaning(fields)
        case Family.DELIVERY_RECEIPT:
            return sms.receipt_meaning(fields)
        case _:
            return messages_v0.meaning(fields) if messages_v0.is_v0(fields) else messages_v1.meaning(fields)
