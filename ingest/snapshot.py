"""Ask Redis how full the queue is, for ``/metrics`` and ``/readyz``, never on the path of a callback."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector
from redis.asyncio import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.redis.client import FAILURES

#: What may become of an event in one pass (``ackfirst.workers.processing.report``), as Redis counts it.
OUTCOMES: Final = ("processed", "discarded", "retried", "dead")

#: Seconds that an answer is used again: a scraper and a probe that come together ask once.
MAX_AGE: Final = 2.0

#: Seconds to wait for Redis. Prometheus gives a scrape 10.
TIMEOUT: Final = 1.0

_LANE_QUESTIONS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneDepth:
    """One lane at one moment."""

    waiting: int
    retries: int
    dead_letters: int
    oldest_seconds: float
    """Age of the event that waits longest; 0 when none waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerTime:
    """All runs of one handler so far."""

    seconds: float
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSnapshot:
    """What Redis said at one moment."""

    workers: int = 0
    quarantine_records: int = 0
    quarantine_bytes: int = 0
    set_aside: int = 0
    lanes: Mapping[str, LaneDepth] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    handlers: Mapping[str, HandlerTime] = field(default_factory=dict)


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


class SnapshotCollector(Collector):
    """Shows the newest snapshot to Prometheus; only ``ackfirst_redis_up 0`` while there is none."""

    def __init__(self, latest: Callable[[], QueueSnapshot | None]) -> None:
        self._latest = latest

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: the names are known only when Redis has been asked."""
        return ()

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily | SummaryMetricFamily]:
        """The snapshot's metrics."""
        snapshot = self._latest()
        yield _gauge("redis_up", "Whether Redis answered the last question", int(snapshot is not None))
        if snapshot is not None:
            yield from _totals(snapshot)
            yield from _lanes(snapshot.lanes)
            yield from _work(snapshot)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"ackfirst_{name}", text, value=value)


def _totals(snapshot: QueueSnapshot) -> Iterable[GaugeMetricFamily]:
    lanes = snapshot.lanes.values()
    yield _gauge("workers", "Workers that Redis knows", snapshot.workers)
    yield _gauge("quarantine_records", "Callbacks in quarantine", snapshot.quarantine_records)
    yield _gauge("quarantine_bytes", "Bytes in quarantine", snapshot.quarantine_bytes)
    yield _gauge("rejects", "Entries of lanes that no worker could run", snapshot.set_aside)
    yield _gauge("retries_waiting", "Events that wait for a retry", sum(lane.retries for lane in lanes))
    yield _gauge("dead_letters", "Events whose retries are used up", sum(lane.dead_letters for lane in lanes))


def _lanes(lanes: Mapping[str, LaneDepth]) -> Iterable[GaugeMetricFamily]:
    waiting = GaugeMetricFamily("ackfirst_lane_waiting", "Events that wait in a lane", labels=["lane"])
    oldest = GaugeMetricFamily("ackfirst_oldest_waiting_seconds", "Age of a lane's oldest event", labels=["lane"])
    for name, lane in lanes.items():
        waiting.add_metric([name], lane.waiting)
        oldest.add_metric([name], lane.oldest_seconds)
    yield waiting
    yield oldest


def _work(snapshot: QueueSnapshot) -> Iterable[CounterMetricFamily | SummaryMetricFamily]:
    events = CounterMetricFamily("ackfirst_events", "Events by outcome", labels=["outcome"])
    # From 0, as above: the first dead letter is the one that an alarm must not miss.
    for outcome, count in {**dict.fromkeys(OUTCOMES, 0), **snapshot.outcomes}.items():
        events.add_metric([outcome], count)
    yield events
    seconds = SummaryMetricFamily("ackfirst_handler_seconds", "Run time of a handler", labels=["handler"])
    for handler, time in snapshot.handlers.items():
        seconds.add_metric([handler], count_value=time.runs, sum_value=time.seconds)
    yield seconds
