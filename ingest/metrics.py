"""Count what one ingest process does, and show it to Prometheus. All names begin with ``ackfirst_``.

No label ever comes from unverified input: families, verdicts and reasons are fixed sets, accounts the operator's own.
"""

import os
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from ackfirst.ingest.snapshot import SnapshotCollector
from ackfirst.ingest.spool.meters import SpoolMeters
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.policy import Verdict
from ackfirst.shared.queue.snapshot import QueueSnapshot

#: prometheus-client's own variable. It decides when it is imported where values live: set it before the process starts.
SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

#: Seconds. The ack deadline (0.25 s) is a bound of its own.
ACK_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

#: Events in one round trip to Redis.
FLUSH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

#: Seconds, from "at once" to the 72 hours for which the provider retries at most.
LAG_BUCKETS: Final = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 21_600.0, 86_400.0, 259_200.0)

#: Seconds. 300 is the tolerated skew.
SKEW_BUCKETS: Final = (1.0, 5.0, 30.0, 60.0, 300.0, 3600.0)

#: Why requests and connections are refused before they are callbacks: the values of a label.
REFUSALS: Final = (
    "bad-request",
    "body-broken",
    "body-timeout",
    "connection-limit",
    "gave-way",
    "head-timeout",
    "line-too-long",
    "method",
    "not-found",
)

#: Label of callbacks whose family is not known: probes, unreadable bodies, bodies that were never read.
NO_FAMILY: Final = "none"


class IngestMetrics:
    """The metrics of one ingest process.

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
        for reason in REFUSALS:
            self._refused.labels(reason)
        self._ack_seconds = Histogram(
            "ackfirst_ack_seconds",
            "From the callback's last byte to its answer",
            buckets=ACK_BUCKETS,
            registry=registry,
        )
        self.flush_size = Histogram(
            "ackfirst_flush_size", "Events written in one round trip", buckets=FLUSH_BUCKETS, registry=registry
        )
        self._clock_skew_seconds = Histogram(
            "ackfirst_clock_skew_seconds",
            "How far in the future a token's iat was, of tokens from the future",
            buckets=SKEW_BUCKETS,
            registry=registry,
        )
        self._provider_lag_seconds = Histogram(
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

    def count(
        self,
        family: Family | None,
        verdict: Verdict,
        seconds: float,
        *,
        confirmed_by: tuple[str, int] | None = None,
        lag: float | None = None,
        skew: float | None = None,
    ) -> None:
        """Count one answer.

        Args:
            family: What the callback is about, if that is known.
            verdict: The verdict that was answered.
            seconds: From the last byte to the answer.
            confirmed_by: The account and the number of its secret that confirmed the signature.
            lag: Seconds that the provider was behind; of new verified events only.
            skew: Seconds that the provider's clock was ahead of ours.
        """
        self._callbacks(family, verdict).inc()
        self._ack_seconds.observe(seconds)
        if confirmed_by is not None:
            self._confirmations(*confirmed_by).inc()
        if lag is not None:
            self._provider_lag_seconds.observe(max(0.0, lag))
        if skew is not None:
            self._clock_skew_seconds.observe(skew)

    def refuse(self, reason: str) -> None:
        """Count a refused request or connection; ``reason`` is one of a few fixed words."""
        self._refused.labels(reason).inc()

    def set_unconfirmed(self, account: str, *, is_unconfirmed: bool) -> None:
        """Show whether all callbacks of ``account``, one of ours, are unconfirmed."""
        self._unconfirmed.labels(account).set(int(is_unconfirmed))

    def limit_quarantine(self, records: int, size: int) -> None:
        """Show how many callbacks, and how many bytes, the quarantine holds at most."""
        for gauge, limit in zip(self._quarantine_limits, (records, size), strict=True):
            gauge.set(limit)


class Exposition:
    """The metrics of this process, and the text for Prometheus: of this process or of its whole group.

    Args:
        latest: Returns the newest answer of Redis.
        shared_folder: Where the processes of a group keep their counts; None for a process on its own.
    """

    def __init__(self, latest: Callable[[], QueueSnapshot | None], *, shared_folder: Path | None = None) -> None:
        self.registry = own = CollectorRegistry()
        self.metrics = IngestMetrics(own)
        self.spool = SpoolMeters(own)
        self._shown = own if shared_folder is None else CollectorRegistry()
        self._shared_folder = shared_folder
        if shared_folder is None:
            ProcessCollector(registry=own)
        else:
            MultiProcessCollector(self._shown, str(shared_folder))  # type: ignore[no-untyped-call]
        self._shown.register(SnapshotCollector(latest))

    def text(self) -> bytes:
        """Render the exposition format."""
        if self._shared_folder is not None:
            forget_dead_processes(self._shared_folder)
        return generate_latest(self._shown)


def forget_dead_processes(folder: Path) -> None:
    """Take the gauges of killed processes out of the sum; their counters stay in it."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not _is_alive(pid):
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
