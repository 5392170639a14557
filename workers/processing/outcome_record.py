"""Write outcomes into the stream of the record (``ackfirst.shared.queue.record``)."""

from collections.abc import Sequence
from typing import Any

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.record import outcome_text
from ackfirst.workers.processing.outcome import Outcome


class OutcomeRecord:
    """Writes a batch as one entry, for ends that Redis holds already.

    Where the end of a job is written by a script or transaction of ours, that one adds the entry as well: a worker that
    is killed in between would leave an event without its end in the record for ever.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def write(self, batch: Sequence[Outcome]) -> None:
        """Add the outcomes to the stream. A repeated call is harmless: the store knows each by its time."""
        self._redis.xadd(keys.RECORD, entry_of(batch))


def entry_of(batch: Sequence[Outcome]) -> dict[Any, Any]:
    """Build the fields of the entry for a batch, as redis-py takes them."""
    return {b"o": b"[%b]" % b",".join(map(recorded, batch))}


def recorded(outcome: Outcome) -> bytes:
    """Write one outcome as JSON."""
    event = outcome.event
    attempts = [
        (
            one.handler,
            one.attempt,
            one.started,
            one.seconds,
            one.ending.value,
            one.error_type,
            one.message,
            one.returned,
        )
        for one in outcome.handlers
    ]
    return outcome_text(
        (
            outcome.event_id,
            outcome.lane,
            outcome.ending.value,
            outcome.ended,
            None if event is None else event.received_at.timestamp(),
            outcome.worker,
            0 if event is None else outcome.attempt,
            outcome.reason,
            outcome.replay,
            attempts,
        )
    )
