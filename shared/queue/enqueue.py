"""Write events to the queue: one script call and one round trip a batch, each event once."""

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.dedupe import period, place
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.job import JobOptions, job_data, rq_time, shared_fields
from ackfirst.shared.redis.client import FAILURES

_SCRIPT: Final = files("ackfirst.shared.queue").joinpath("enqueue.lua").read_text()
_SHA: Final = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()  # how Redis names a script
_KEYS: Final = (keys.RQ_QUEUES, keys.LANES, keys.BELL)

Written = bool | QueueUnavailableError
"""What became of one event: True queued, False seen before, or why it could not be written."""


class Enqueuer:
    """Writes batches of envelopes as RQ jobs. Safe to repeat: an event that is already there is not written again."""

    def __init__(self, redis: Redis, options: JobOptions, *, dedupe_seconds: int) -> None:
        self._redis = redis
        pairs = shared_fields(options).items()
        seconds = period(dedupe_seconds)
        self._head: list[Any] = [keys.seen_prefix(seconds), seconds, keys.BELL_LIMIT, keys.job(""), keys.queue("")]
        self._head.append(keys.LANE_PREFIX)
        self._shared: list[Any] = [len(pairs), *(part for pair in pairs for part in pair)]

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[Written]:
        """Write a batch in one round trip; one result an envelope, in order.

        When this returns True or False for an event, Redis has confirmed it (and has it on disk, where AOF is
        ``always``). An event that Redis refuses is a ``QueueUnavailableError`` in its place; the others are not affected.

        Args:
            envelopes: The events.
            now: Unix seconds, written as the jobs' ``enqueued_at``.

        Raises:
            QueueUnavailableError: Redis did not answer; any part of the batch may or may not have been written.
        """
        try:
            results = await self._run(self._arguments(envelopes, now))
        except FAILURES as error:
            raise QueueUnavailableError(f"Redis did not confirm the write: {error}") from error
        return [_written(result) for result in results]

    async def prepare(self) -> None:
        """Make the script known to Redis: a first batch that finds it missing half way would be written out of order.

        Raises:
            QueueUnavailableError: Redis did not answer.
        """
        try:
            await self._redis.script_load(_SCRIPT)
        except FAILURES as error:
            raise QueueUnavailableError(f"Redis did not take the script: {error}") from error

    def _arguments(self, envelopes: Sequence[Envelope], now: float) -> list[Any]:
        arguments = [*self._head, rq_time(now), *self._shared]
        for envelope in envelopes:
            event_id = envelope.id
            arguments += (event_id, envelope.lane, *place(event_id), job_data(envelope), envelope.family)
        return arguments

    async def _run(self, arguments: list[Any]) -> list[Any]:
        results: list[Any]
        try:
            results = await self._redis.evalsha(_SHA, len(_KEYS), *_KEYS, *arguments)
        except NoScriptError:  # the server is new, restarted or was failed over to
            await self._redis.script_load(_SCRIPT)
            results = await self._redis.evalsha(_SHA, len(_KEYS), *_KEYS, *arguments)
        return results


def _written(result: Any) -> Written:
    if isinstance(result, Exception):
        failure = QueueUnavailableError(f"Redis refused the write: {result}")
        failure.__cause__ = result
        return failure
    return bool(result)
