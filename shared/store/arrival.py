"""Make rows of the record from what Redis holds: an arrival of an envelope, attempts of an outcome."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from ackfirst.shared.errors import EnvelopeError
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.parse import parse
from ackfirst.shared.queue.record import RecordedOutcome
from ackfirst.shared.store.rows import Arrival, Attempt

#: Fields that the event has under the same name.
_OF_EVENT: Final = ("channel", "client_ref", "status", "sender", "recipient")


def arrival_of(envelope: Envelope) -> Arrival:
    """Return the row of an event. What its body does not say, or cannot be read, is None."""
    return Arrival(
        event_id=envelope.id,
        account=envelope.account,
        application_id=envelope.application_id,
        lane=envelope.lane,
        family=envelope.family,
        message_id=envelope.message_id,
        # As outcomes have it, from the event's datetime: with more digits, it would be the key of another row.
        received_at=datetime.fromtimestamp(envelope.received_at, UTC).timestamp(),
        encoding=envelope.encoding,
        content_type=envelope.content_type,
        body=envelope.body,
        query=envelope.query,
        trace=envelope.trace,
        **_of_event(_event(envelope)),
    )


def attempts_of(outcome: RecordedOutcome, *, received_at: float = 0.0) -> Iterator[Attempt]:
    """Yield the rows of an outcome's attempts; ``received_at`` is the event's, for an outcome that does not say it."""
    for one in outcome.attempts:
        yield Attempt(
            event_id=outcome.event_id,
            received_at=outcome.received_at or received_at,
            handler=one.handler,
            number=one.number,
            worker=outcome.worker,
            started=one.started,
            seconds=one.seconds,
            ending=one.ending,
            error_type=one.error_type,
            message=one.message,
            returned=one.returned,
            replay=outcome.replay,
        )


def _event(envelope: Envelope) -> Event | None:
    try:
        return parse(envelope)
    except EnvelopeError:  # its outcome says so; what the envelope says is kept all the same
        return None


def _of_event(event: Event | None) -> dict[str, Any]:
    if event is None:
        return dict.fromkeys((*_OF_EVENT, "occurred_at", "price"))
    return {
        **{name: getattr(event, name) for name in _OF_EVENT},
        "occurred_at": event.occurred_at and event.occurred_at.timestamp(),
        "price": event.price and f"{event.price.amount} {event.price.currency}",
    }
