"""Asks Redis how full it is, for ``/metrics`` and ``/readyz``: seldom, briefly, and never on the path of a callback."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from redis.asyncio import Redis

from ackfirst.shared.metrics import HandlerTime, LaneDepth, QueueSnapshot
from ackfirst.shared.queue import keys
from ackfirst.shared.redis.client import FAILURES

#: Seconds that an answer is used again: a scraper and a probe that come together ask once.
MAX_AGE: Final = 2.0

#: Seconds to wait for Redis. Prometheus gives a scrape 10.
TIMEOUT: Final = 1.0

_LANE_QUESTIONS: Final = 4


class Snapshots:
    """The newest snapshot, asked again when it is older than ``MAX_AGE``.

    Args:
        redis: A client of its own: a slow answer here must not hold up a callback's connection.
        clock: Unix seconds.
    """

    def __init__(self, redis: Redis, *, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._clock = clock
        self._asked_at = float("-inf")
        self._lock = asyncio.Lock()
        self.latest: QueueSnapshot | None = None
        """None while Redis does not answer."""
        self.latency: float | None = None
        """Seconds that the last answer took."""

    async def refresh(self) -> QueueSnapshot | None:
        """The newest snapshot, at most ``MAX_AGE`` seconds old; None when Redis does not answer in time."""
        async with self._lock:
            if abs(self._clock() - self._asked_at) > MAX_AGE:
                await self._ask()
        return self.latest

    async def _ask(self) -> None:
        started = asyncio.get_running_loop().time()
        self.latest = self.latency = None
        with suppress(*FAILURES, TimeoutError):
            async with asyncio.timeout(TIMEOUT):
                self.latest = await take_snapshot(self._redis, now=self._clock())
            self.latency = asyncio.get_running_loop().time() - started
        self._asked_at = self._clock()


async def take_snapshot(redis: Redis, *, now: float) -> QueueSnapshot:
    """Ask everything in four round trips, however many lanes there are.

    Raises:
        Exception: One of ``FAILURES``: Redis does not answer, or does not like a question.
    """
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.smembers(keys.LANES)
        pipeline.smembers(keys.RQ_WORKERS)
        pipeline.xlen(keys.QUARANTINE)
        pipeline.get(keys.QUARANTINE_BYTES)
        pipeline.xlen(keys.REJECTS)
        pipeline.hgetall(keys.OUTCOMES)
        pipeline.hgetall(keys.HANDLER_TIMES)
        lanes, workers, records, held, rejects, outcomes, times = await pipeline.execute()
    return QueueSnapshot(
        workers=await _living(redis, workers),
        quarantine_records=records,
        quarantine_bytes=int(held or 0),
        set_aside=rejects,
        lanes=await _lane_depths(redis, sorted(name.decode(errors="replace") for name in lanes), now),
        outcomes={name.decode(errors="replace"): int(count) for name, count in outcomes.items()},
        handlers=handler_times(times),
    )


async def _living(redis: Redis, workers: set[bytes]) -> int:
    """How many of RQ's workers still give signs of life: a killed one stays in the set until another tidies up."""
    return await redis.exists(*workers) if workers else 0


async def _lane_depths(redis: Redis, lanes: list[str], now: float) -> dict[str, LaneDepth]:
    async with redis.pipeline(transaction=False) as pipeline:
        for lane in lanes:
            pipeline.llen(keys.queue(lane))
            pipeline.zcard(keys.scheduled(lane))
            pipeline.zcard(keys.failed(lane))
            pipeline.lindex(keys.queue(lane), 0)
        answers = [_of_our_type(answer) for answer in await pipeline.execute(raise_on_error=False)]
    rows = [answers[start : start + _LANE_QUESTIONS] for start in range(0, len(answers), _LANE_QUESTIONS)]
    ages = await _ages(redis, [row[-1] for row in rows], now)
    return {
        lane: LaneDepth(waiting=waiting, retries=retries, dead_letters=dead, oldest_seconds=age)
        for lane, (waiting, retries, dead, _), age in zip(lanes, rows, ages, strict=True)
    }


def _of_our_type(answer: Any) -> Any:
    """What was answered; nothing where a stranger's key is in the place of ours: one lane must not hide all others.

    Raises:
        RedisError: Any other refusal.
    """
    if not isinstance(answer, Exception):
        return answer
    if not str(answer).startswith("WRONGTYPE"):
        raise answer
    return 0


async def _ages(redis: Redis, heads: list[bytes | None], now: float) -> list[float]:
    """Seconds since each of the jobs was queued; 0 where there is none."""
    async with redis.pipeline(transaction=False) as pipeline:
        for job_id in heads:
            pipeline.hget(keys.job((job_id or b"").decode(errors="replace")), "enqueued_at")
        moments = await pipeline.execute(raise_on_error=False)
    return [_age(_of_our_type(queued_at), now) for queued_at in moments]


def _age(queued_at: bytes | None, now: float) -> float:
    try:
        moment = datetime.fromisoformat((queued_at or b"").decode())
    except ValueError:
        return 0.0
    return max(0.0, now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def handler_times(fields: Mapping[bytes, Any]) -> dict[str, HandlerTime]:
    """Read the hash ``<handler>:seconds`` / ``<handler>:runs`` (``ackfirst.shared.queue.keys.HANDLER_TIMES``)."""
    names = {field.decode(errors="replace").rpartition(":")[0] for field in fields}
    return {
        name: HandlerTime(
            seconds=float(fields.get(f"{name}:seconds".encode(), 0)), runs=int(fields.get(f"{name}:runs".encode(), 0))
        )
        for name in sorted(names)
    }
