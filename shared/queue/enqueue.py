"""Write batches of events to the queue: one script call and one round trip a batch, each event once."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

from redis.asyncio import Redis

from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.dedupe import period, place
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.generation import Position
from ackfirst.shared.queue.job import JobOptions, job_data, rq_time, shared_fields
from ackfirst.shared.queue.scripts import source
from ackfirst.shared.redis.client import FAILURES
from ackfirst.shared.redis.replicated import MASTER_ONLY, Replicas, WritingScript

_SCRIPT: Final = WritingScript(source("ackfirst.shared.queue", "enqueue.lua"))
_KEYS: Final = (
    keys.RQ_QUEUES,
    keys.LANES,
    keys.BELL,
    keys.ACKNOWLEDGED,
    keys.READY,
    keys.LAST_CALLBACKS,
    keys.RECORD,
)

Written = bool | QueueUnavailableError
"""Result of one event: True if queued, False if seen before, or the reason why it could not be written."""


class CounterObserver(Protocol):
    """Compares the counter of acknowledged events with the largest one seen, to notice a Redis that lost its newest."""

    @property
    def position(self) -> Position:
        """Return the position that is known now."""

    def confirm(self, acknowledged: int, *, since: Position, added: int = 0) -> object:
        """Take the counter of a reply whose command was sent at ``since`` and added so many events."""


class Enqueuer:
    """Writes batches of envelopes as RQ jobs. Safe to repeat: an event that is already there is not written again.

    Args:
        redis: A client; its connections bound how many batches are under way.
        options: Time limits and retries of the jobs.
        dedupe_seconds: How long an event is remembered at the least.
        counter: Takes the counter of acknowledged events from each reply.
        replicas: How many replicas must have a batch before it is confirmed.
    """

    def __init__(
        self,
        redis: Redis,
        options: JobOptions,
        *,
        dedupe_seconds: int,
        counter: CounterObserver | None = None,
        replicas: Replicas = MASTER_ONLY,
    ) -> None:
        self._redis = redis
        self._counter = counter
        self._replicas = replicas
        pairs = shared_fields(options).items()
        seconds = period(dedupe_seconds)
        self._head: list[Any] = [keys.seen_prefix(seconds), seconds, keys.BELL_LIMIT, keys.job(""), keys.queue("")]
        self._head.append(keys.LANE_PREFIX)
        self._is_recorded = int(options.is_recorded)
        self._shared: list[Any] = [len(pairs), *(part for pair in pairs for part in pair)]

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[Written]:
        """Write a batch in one round trip; return one result an envelope, in order.

        True or False means that Redis has confirmed the event, and has it on disk if ``appendfsync`` is ``always``. An
        event that Redis refuses is a ``QueueUnavailableError`` in its place; the others are not affected.

        Args:
            envelopes: The events.
            now: Unix seconds, written as the jobs' ``enqueued_at``.

        Raises:
            QueueUnavailableError: Redis did not answer; any part of the batch may or may not have been written.
        """
        since = self._counter.position if self._counter else None
        try:
            arguments = self._arguments(envelopes, now)
            *results, counter = await _SCRIPT.run(self._redis, _KEYS, arguments, self._replicas)
        except FAILURES as error:
            raise QueueUnavailableError(f"Redis did not confirm the write: {error}") from error
        if self._counter and since and counter >= 0:
            self._counter.confirm(counter, since=since, added=sum(result == 1 for result in results))
        return [_written(result) for result in results]

    async def prepare(self) -> None:
        """Load the script: of two batches under way, the first to find it missing would be overtaken by the second.

        Raises:
            QueueUnavailableError: Redis did not answer.
        """
        try:
            await _SCRIPT.load(self._redis)
        except FAILURES as error:
            raise QueueUnavailableError(f"Redis did not take the script: {error}") from error

    def _arguments(self, envelopes: Sequence[Envelope], now: float) -> list[Any]:
        newest: dict[str, float] = {}
        for envelope in envelopes:
            application = keys.application(envelope.account, envelope.application_id)
            newest[application] = max(envelope.received_at, newest.get(application, 0.0))
        arguments = [*self._head, rq_time(now), self._is_recorded, len(newest), *self._shared]
        for named in newest.items():
            arguments += named
        for envelope in envelopes:
            event_id = envelope.id
            arguments += (event_id, envelope.lane, *place(event_id), job_data(envelope), envelope.family)
        return arguments


def _written(result: Any) -> Written:
    if isinstance(result, Exception):
        failure = QueueUnavailableError(f"Redis refused the write: {result}")
        failure.__cause__ = result
        return failure
    return bool(result)
