"""Read an arrival, the record's row of an event, from the envelope of its job."""

from typing import Final

from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.normalise import normalise
from ackfirst.shared.nexmo.reading import read_as
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.store.rows import Arrival

#: Fields that the event has under the same name.
_OF_EVENT: Final = ("channel", "client_ref", "status", "sender", "recipient")


def arrival_of(envelope: Envelope) -> Arrival:
    """Return the row of an event. What its body does not say, or cannot be read, is None."""
    event = _event(envelope)
    said = {name: getattr(event, name, None) for name in _OF_EVENT}
    price = None if event is None else event.price
    occurred_at = None if event is None else event.occurred_at
    return Arrival(
        event_id=envelope.id,
        account=envelope.account,
        application_id=envelope.application_id,
        lane=envelope.lane,
        family=envelope.family,
        message_id=envelope.message_id,
        received_at=envelope.received_at,
        occurred_at=None if occurred_at is None else occurred_at.timestamp(),
        encoding=envelope.encoding,
        content_type=envelope.content_type,
        body=envelope.body,
        query=envelope.query,
        trace=envelope.trace,
        price=None if price is None else f"{price.amount} {price.currency}",
        **said,
    )


def _event(envelope: Envelope) -> Event | None:
    reading = read_as(envelope.encoding, body=envelope.body, query=envelope.query)
    if reading is None or envelope.family not in set(Family):
        return None
    return normalise(
        id=envelope.id,
        family=Family(envelope.family),
        reading=reading,
        account=envelope.account,
        application_id=envelope.application_id,
        received_at=envelope.received_at,
        raw=b"",
    )
