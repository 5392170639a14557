"""Keep the newest snapshot of the queue, and show it to Prometheus."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector
from redis.asyncio import Redis

from ackfirst.shared.queue.snapshot import LaneDepth, QueueSnapshot, take_snapshot
from ackfirst.shared.redis.client import FAILURES

#: How a pass of an event may end (``ackfirst.workers.processing.outcome``), as Redis counts it.
OUTCOMES: Final = ("processed", "unhandled", "discarded", "retried", "dead", "rescued", "rejected")

#: Seconds that an answer is used again: a scraper and a probe that come together ask once.
MAX_AGE: Final = 2.0

#: Seconds to wait for Redis. Prometheus gives a scrape 10.
TIMEOUT: Final = 1.0

#: How many times longer than it took a snapshot is used: very many lanes take at most 10 % of the server's time.
REST: Final = 10


class Snapshots:
    """The newest snapshot, asked again when it is older than ``MAX_AGE``.

    Args:
        redis: A client of its own: a slow answer here must not hold up a callback's connection.
        clock: Unix seconds.
        failure_ttl: Seconds that a dead letter is kept.
    """

    def __init__(self, redis: Redis, *, clock: Callable[[], float], failure_ttl: int) -> None:
        self._redis = redis
        self._clock = clock
        self._failure_ttl = failure_ttl
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
                self.latest = await take_snapshot(self._redis, now=self._clock(), failure_ttl=self._failure_ttl)
            self.latency = asyncio.get_running_loop().time() - started
        self._asked_at = self._clock()


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
            yield from _record(snapshot)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"ackfirst_{name}", text, value=value)


def _totals(snapshot: QueueSnapshot) -> Iterable[GaugeMetricFamily]:
    lanes = snapshot.lanes.values()
    yield _gauge("workers", "Workers that Redis knows", snapshot.workers)
    yield _gauge("quarantine_records", "Callbacks in quarantine", snapshot.quarantine_records)
    yield _gauge("quarantine_bytes", "Bytes in quarantine", snapshot.quarantine_bytes)
    yield _gauge("rejects", "Entries of lanes that no worker could run", snapshot.rejects)
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


def _record(snapshot: QueueSnapshot) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
    waiting = "Entries of the stream that wait to be recorded"
    yield _gauge("record_backlog_entries", waiting, snapshot.record_entries)
    yield _gauge("record_lag_seconds", "How long the oldest of them has waited", snapshot.record_oldest_seconds)
    yield _counter("record_events", "Events that were recorded", snapshot.record_events)
    yield _counter("record_gap_events", "Events that the record misses", snapshot.record_gap_events)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"ackfirst_{name}", text, value=value)
