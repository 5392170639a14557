"""What ingest counts itself, and what it reads from Redis when it is asked. All names begin with ``ackfirst_``.

No label ever comes from unverified input: families and verdicts are enums; accounts, lanes and handlers are the
operator's own.
"""

from collections import Counter as TotalOf
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.registry import Collector

from ackfirst.shared.bulk_histogram import BulkHistogram
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.policy import Verdict
from ackfirst.shared.turn_buffer import TurnBuffer

#: Seconds. The ack deadline (0.25 s) is a bound of its own.
ACK_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

#: Events in one round trip to Redis.
FLUSH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

#: Seconds, from "at once" to the 72 hours for which the provider retries at most.
LAG_BUCKETS: Final = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 21_600.0, 86_400.0, 259_200.0)

#: Seconds. 300 is the tolerated skew.
SKEW_BUCKETS: Final = (1.0, 5.0, 30.0, 60.0, 300.0, 3600.0)

#: What may become of an event in one pass (``ackfirst.workers.processing.report``), as Redis counts it.
OUTCOMES: Final = ("processed", "discarded", "retried", "dead")

#: Label of callbacks whose family is not known: probes, unreadable bodies, bodies that were never read.
NO_FAMILY: Final = "none"


Answered = tuple[Family | None, Verdict, float, tuple[str, int] | None, float | None, float | None]
"""One answer: family, verdict, seconds that it took; the account and the number of its secret that confirmed the
callback; seconds that the provider was behind, seconds that it was ahead."""


class IngestMetrics:
    """What one ingest process counts.

    Args:
        registry: Where the metrics are registered. In prometheus-client's multiprocess mode their values live in shared
            files, and any process of the group can show the sum.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        callbacks = Counter(
            "ackfirst_callbacks", "Callbacks by family and verdict", ["family", "verdict"], registry=registry
        )
        self._callbacks = cache(lambda family, verdict: callbacks.labels(family or NO_FAMILY, verdict))
        for family, verdict in product((None, *Family), Verdict):
            self._callbacks(family, verdict)  # from 0: a series that begins with its first event shows no increase
        secrets = "Callbacks by the account and the number of its secret, from 0, that confirmed their signature"
        confirmations = Counter("ackfirst_confirmations", secrets, ["account", "secret"], registry=registry)
        self._confirmations = cache(confirmations.labels)
        self._refused = Counter(
            "ackfirst_refused_requests",
            "Requests and connections that were refused before they were a callback",
            ["reason"],
            registry=registry,
        )
        self._ack_seconds = BulkHistogram(
            "ackfirst_ack_seconds",
            "From the callback's last byte to its answer",
            buckets=ACK_BUCKETS,
            registry=registry,
        )
        self.flush_size = Histogram(
            "ackfirst_flush_size", "Events written in one round trip", buckets=FLUSH_BUCKETS, registry=registry
        )
        self._clock_skew_seconds = BulkHistogram(
            "ackfirst_clock_skew_seconds",
            "How far in the future a token's iat was, of tokens from the future",
            buckets=SKEW_BUCKETS,
            registry=registry,
        )
        self._provider_lag_seconds = BulkHistogram(
            "ackfirst_provider_lag_seconds",
            "Arrival minus the callback's own timestamp, of new verified events",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self.connections = Gauge(
            "ackfirst_connections", "Open connections", registry=registry, multiprocess_mode="livesum"
        )

        self._unconfirmed = Gauge(
            "ackfirst_account_unconfirmed",
            "1 while no callback of a configured account can be confirmed; none: of those that name no account",
            ["account"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._gathering = TurnBuffer(self._count)
        self.gather = self._gathering.gather
        """Add up answers, and count them together: one by one they cost as much as a signature."""
        self.answered = self._gathering.add
        """One callback was answered."""
        self.unknown_accounts = Gauge(
            "ackfirst_unknown_accounts",
            "Accounts that callbacks claim and that are not configured, at most 16",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._quarantine_limits = [
            Gauge(f"ackfirst_quarantine_max_{unit}", text, registry=registry, multiprocess_mode="livemax")
            for unit, text in (
                ("records", "Most callbacks that the quarantine holds"),
                ("bytes", "Most bytes that the quarantine holds"),
            )
        ]

    def limit_quarantine(self, records: int, size: int) -> None:
        """How many callbacks, and how many bytes, the quarantine holds at most."""
        for gauge, limit in zip(self._quarantine_limits, (records, size), strict=True):
            gauge.set(limit)

    def unconfirmed(self, account: str, *, is_well: bool) -> None:
        """All callbacks of ``account``, one of ours, are unconfirmed from now on; or one was confirmed again."""
        self._unconfirmed.labels(account).set(int(not is_well))

    def _count(self, answers: list[Answered]) -> None:
        families, verdicts, seconds, confirmations, lags, skews = zip(*answers, strict=True)
        for (family, verdict), number in TotalOf(zip(families, verdicts, strict=True)).items():
            self._callbacks(family, verdict).inc(number)
        for (account, secret), number in TotalOf(filter(None, confirmations)).items():
            self._confirmations(account, secret).inc(number)
        self._ack_seconds.observe_all(seconds)
        self._provider_lag_seconds.observe_all([max(0.0, lag) for lag in lags if lag is not None])
        self._clock_skew_seconds.observe_all([skew for skew in skews if skew is not None])

    def refuse(self, reason: str) -> None:
        """A request or a connection was refused; ``reason`` is one of a few fixed words."""
        self._refused.labels(reason).inc()


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
