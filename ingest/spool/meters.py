"""Count what the spool does, for `/metrics`."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from ackfirst.shared.spool.segment import Depth


class SpoolMeters:
    """Holds the spool's metrics of one process; in a group of processes they add up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, mode: str = "livesum") -> Gauge:
            return Gauge(f"ackfirst_{name}", text, registry=registry, multiprocess_mode=mode)  # type: ignore[arg-type]

        self._records = gauge("spool_records", "Events on disk that wait for Redis")
        self._bytes = gauge("spool_bytes", "Bytes that the spool holds")
        self._oldest = gauge("spool_oldest_seconds", "How long the oldest event waits on disk", "livemax")
        self._set_aside = gauge("spool_set_aside", "Records that cannot be queued, and damaged pieces that are kept")
        self.max_age = gauge("spool_max_age_seconds", "Longest time that an event should wait on disk", "livemax")
        self._used = gauge(
            "spool_used_ratio", "How full the fullest process's spool is; a full one means 503 without Redis", "livemax"
        )
        self._unusable = gauge("spool_unusable", "Processes that cannot write to their spool: it or the disk is full")
        self.circuit_open = gauge("circuit_open", "Processes whose events go to the spool at once")
        self._events = Counter("ackfirst_spool_events", "Events by what the spool did", ["step"], registry=registry)
        for step in ("spooled", "drained", "set-aside", "refused", "damaged"):
            self._events.labels(step)

    def step(self, step: str, count: int = 1) -> None:
        """Count events: ``spooled``, ``drained``, ``set-aside``, ``refused`` or ``damaged``."""
        self._events.labels(step).inc(count)

    def show(self, depths: Sequence[Depth], now: float, *, used: float, usable: bool) -> None:
        """Show what this process holds.

        Args:
            depths: Its own slot and those that dead processes left.
            now: Unix seconds.
            used: Share of its limit that its own slot takes.
            usable: Whether its own slot can be written.
        """
        self._used.set(used)
        self._unusable.set(not usable)
        self._records.set(sum(depth.records for depth in depths))
        self._bytes.set(sum(depth.bytes for depth in depths))
        self._set_aside.set(sum(depth.set_aside for depth in depths))
        self._oldest.set(max((now - depth.oldest for depth in depths if depth.oldest is not None), default=0.0))
