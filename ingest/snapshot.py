"""Ask Redis how full the queue is, for ``/metrics`` and ``/readyz``, never on the path of a callback."""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector
from redis.asyncio import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.scripts import source
from ackfirst.shared.redis.client import FAILURES

#: How a pass of an event may end (``ackfirst.workers.processing.outcome``), as Redis counts it.
OUTCOMES: Final = ("processed", "unhandled", "discarded", "retried", "dead", "rescued", "rejected")

#: Seconds that an answer is used again: a scraper and a probe that come together ask once.
MAX_AGE: Final = 2.0

#: Seconds to wait for Redis. Prometheus gives a scrape 10.
TIMEOUT: Final = 1.0

#: Lanes that are shown by name: of ten thousand, no page and no series of metrics could show all.
SHOWN_LANES: Final = 100
#: Name under which the sums of all other lanes are shown. No lane can be called so.
OTHER_LANES: Final = "(other)"
#: Lanes that one call asks: less than a millisecond of the server's time.
LANES_A_CALL: Final = 250
#: How many times longer than it took a snapshot is used: very many lanes take at most 10 % of the server's time.
REST: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneDepth:
    """One lane at one moment."""

    waiting: int
    retries: int
    dead_letters: int
    oldest_seconds: float
    """Age of the event that waits longest; 0 when none waits."""


_NONE: Final = LaneDepth(waiting=0, retries=0, dead_letters=0, oldest_seconds=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerTime:
    """All runs of one handler so far."""

    seconds: float
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSnapshot:
    """The state of the queue at one moment."""

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
            if abs(self._clock() - self._asked_at) > max(MAX_AGE, REST * (self.latency or 0.0)):
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
    """Ask everything; two round trips, and one for each few hundred lanes.

    Raises:
        Exception: One of ``FAILURES``: Redis does not answer, or does not like a question.
    """
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.smembers(keys.RQ_WORKERS)
        pipeline.xlen(keys.QUARANTINE)
        pipeline.get(keys.QUARANTINE_BYTES)
        pipeline.xlen(keys.REJECTS)
        pipeline.hgetall(keys.OUTCOMES)
        pipeline.hgetall(keys.HANDLER_TIMES)
        workers, records, held, rejects, outcomes, times = await pipeline.execute()
    return QueueSnapshot(
        workers=await _living(redis, workers),
        quarantine_records=records,
        quarantine_bytes=int(held or 0),
        set_aside=rejects,
        lanes=await _lane_depths(redis, now),
        outcomes={name.decode(errors="replace"): int(count) for name, count in outcomes.items()},
        handlers=handler_times(times),
    )


async def _living(redis: Redis, workers: set[bytes]) -> int:
    """Count RQ's workers with a current heartbeat: a killed one stays in the set until another cleans up."""
    return await redis.exists(*workers) if workers else 0


async def _lane_depths(redis: Redis, now: float) -> dict[str, LaneDepth]:
    """Ask all lanes, some at a time; the deepest and the oldest by name, the sums of the others as one."""
    script = redis.register_script(source("ackfirst.shared.queue", "lane_depths.lua"))
    prefixes = (keys.queue(""), keys.scheduled(""), keys.failed(""), keys.job(""))
    shown: dict[str, LaneDepth] = {}
    rest = _NONE
    cursor: Any = 0
    while True:
        cursor, *cells = await script(keys=[keys.LANES], args=[cursor, LANES_A_CALL, *prefixes])
        for name, waiting, retries, dead, queued_at in zip(*(iter(cells),) * 5, strict=True):
            depth = LaneDepth(waiting=waiting, retries=retries, dead_letters=dead, oldest_seconds=_age(queued_at, now))
            shown[name.decode(errors="replace")] = depth
        shown, left_over = _most_interesting(shown)
        for depth in left_over:
            rest = LaneDepth(
                waiting=rest.waiting + depth.waiting,
                retries=rest.retries + depth.retries,
                dead_letters=rest.dead_letters + depth.dead_letters,
                oldest_seconds=max(rest.oldest_seconds, depth.oldest_seconds),
            )
        if not int(cursor):
            break
    found = dict(sorted(shown.items()))
    return found if rest is _NONE else {**found, OTHER_LANES: rest}


def _most_interesting(lanes: dict[str, LaneDepth]) -> tuple[dict[str, LaneDepth], list[LaneDepth]]:
    """Split the lanes into those to show, half of them the deepest and half the oldest, and the rest."""
    if len(lanes) <= SHOWN_LANES:
        return lanes, []
    half = SHOWN_LANES // 2
    names = set(heapq.nlargest(half, lanes, key=lambda name: lanes[name].waiting))
    others = [name for name in lanes if name not in names]
    names.update(heapq.nlargest(half, others, key=lambda name: (lanes[name].oldest_seconds, lanes[name].waiting)))
    return {name: lanes[name] for name in names}, [lanes[name] for name in lanes if name not in names]


def _age(queued_at: bytes, now: float) -> float:
    """Seconds since a job was queued; 0 where there is none, or its time cannot be read."""
    try:
        moment = datetime.fromisoformat(queued_at.decode())
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
