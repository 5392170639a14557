"""Write events to the queue: one script call an event, one round trip a batch, each event once."""

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from shared import keys
from shared.dedupe import period, place
from shared.envelope import Envelope
from shared.errors import QueueUnavailable
from shared.job import JobOptions, job_fields
from shared.redis_client import FAILURES

_SCRIPT: Final = files("shared").joinpath("enqueue.lua").read_text()
_SHA: Final = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()  # how Redis names a script
_KEY_COUNT: Final = 5

Written = bool | QueueUnavailable
"""What became of one event: True queued, False seen before, or why it could not be written."""


class Enqueuer:
    """Writes batches of envelopes as RQ jobs. Safe to repeat: an event that is already there is not written again."""

    def __init__(self, redis: Redis, options: JobOptions, *, dedupe_seconds: int) -> None:
        self._redis = redis
        self._options = options
        self._period = period(dedupe_seconds)

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[Written]:
        """Write a batch in one round trip; one result an envelope, in order.

        When this returns True or False for an event, Redis has confirmed it (and has it on disk, where AOF is
        ``always``). An event that Redis refuses is a ``QueueUnavailable`` in its place; the others are not affected.

        Args:
            envelopes: The events.
            now: Unix seconds, written as the jobs' ``enqueued_at``.

        Raises:
            QueueUnavailable: Redis did not answer; any part of the batch may or may not have been written.
        """
        calls = [self._call(envelope, now) for envelope in envelopes]
        try:
            results = await self._run(calls)
        except FAILURES as error:
            raise QueueUnavailable(f"Redis did not confirm the write: {error}") from error
        return [_written(result) for result in results]

    async def prepare(self) -> None:
        """Make the script known to Redis: a first batch that finds it missing half way would be written out of order.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        try:
            await self._redis.script_load(_SCRIPT)
        except FAILURES as error:
            raise QueueUnavailable(f"Redis did not take the script: {error}") from error

    def _call(self, envelope: Envelope, now: float) -> tuple[Any, ...]:
        queue = keys.queue(envelope.lane)
        pairs = [part for pair in job_fields(envelope, self._options, now=now).items() for part in pair]
        return (
            keys.job(envelope.id),
            queue,
            keys.RQ_QUEUES,
            keys.LANES,
            keys.BELL,
            keys.seen_prefix(self._period),
            *place(envelope.id),
            self._period,
            envelope.id,
            envelope.lane,
            keys.BELL_LIMIT,
            *pairs,
        )

    async def _run(self, calls: list[tuple[Any, ...]]) -> list[Any]:
        results = await self._pipeline(calls)
        forgotten = [index for index, result in enumerate(results) if isinstance(result, NoScriptError)]
        if forgotten:  # the server is new, restarted or was failed over to
            await self._redis.script_load(_SCRIPT)
            again = await self._pipeline([calls[index] for index in forgotten])
            for index, result in zip(forgotten, again, strict=True):
                results[index] = result
        return results

    async def _pipeline(self, calls: list[tuple[Any, ...]]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.evalsha(_SHA, _KEY_COUNT, *call)
            return await pipeline.execute(raise_on_error=False)


def _written(result: Any) -> Written:
    if isinstance(result, Exception):
        failure = QueueUnavailable(f"Redis refused the write: {result}")
        failure.__cause__ = result
        return failure
    return bool(result)
