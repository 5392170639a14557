"""``recheck --dry-run``: the same road without a write."""

from collections.abc import Sequence

from redis.asyncio import Redis

from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.dedupe import PERIODS, period, place
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.redis.client import FAILURES


class RehearsedQueue:
    """Says what the queue would answer."""

    def __init__(self, redis: Redis, *, dedupe_seconds: int) -> None:
        self._redis = redis
        self._period = period(dedupe_seconds)
        self._taken: set[str] = set()

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[bool]:  # noqa: ARG002 - the queue's signature
        """True for each event that would be new.

        Raises:
            QueueUnavailableError: Redis did not answer.
        """
        try:
            seconds, _ = await self._redis.time()
            current = int(seconds) // self._period
            async with self._redis.pipeline(transaction=False) as pipeline:
                for envelope in envelopes:
                    bucket, member = place(envelope.id)
                    pipeline.exists(keys.job(envelope.id))
                    for number in range(current - PERIODS, current + 2):
                        pipeline.sismember(keys.seen(self._period, number, bucket), member)
                answers = await pipeline.execute()
        except FAILURES as error:
            raise QueueUnavailableError(f"Redis did not say which events it knows: {error}") from error
        asked = PERIODS + 3
        known = [any(answers[start : start + asked]) for start in range(0, len(answers), asked)]
        return [not seen and self._take(envelope.id) for seen, envelope in zip(known, envelopes, strict=True)]

    def _take(self, event_id: str) -> bool:
        new = event_id not in self._taken
        self._taken.add(event_id)
        return new


class KeptRecords:
    """Removes nothing."""

    async def remove(self, entry_ids: Sequence[str]) -> None:
        """Leave them all."""
