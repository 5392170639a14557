"""Limits of one ingest process that no operator has a reason to change; tests pass smaller ones."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLimits:
    """Bounds of memory, time and rate."""

    body_bytes: int = 1_048_576
    """Largest body of a callback; a larger one is answered 413. The largest that Nexmo documents has 10 KiB."""
    body_seconds: float = 10.0
    """Longest time that a sender may take for a body."""
    connections: int = 10_000
    """Most open connections; a further one closes the connection that has been idle for longest."""
    quarantine_records: int = 10_000
    """Most callbacks in the quarantine."""
    quarantine_bytes: int = 67_108_864
    """Most bytes in the quarantine."""
    quarantine_per_second: float = 200.0
    """Most callbacks that this process puts into the quarantine; above it the answer is 429."""
    redis_memory_share: float = 0.8
    """Share of Redis's ``maxmemory`` above which new events go to disk: workers need memory to empty the queue."""
