"""Check the queue: ask Redis for a snapshot, look at the spool on this disk, and let both be judged."""

from redis.asyncio import Redis

from ackfirst.ops.doctor.edge import version_findings
from ackfirst.shared.findings import Finding, SpoolState, SystemState, judge
from ackfirst.shared.findings.judge import record_state
from ackfirst.shared.queue.snapshot import take_snapshot
from ackfirst.shared.settings import Settings
from ackfirst.shared.spool.folder import slots, spool_folder
from ackfirst.shared.spool.segment import look


async def queue_findings(redis: Redis, settings: Settings, *, now: float, gap_events: int = 0) -> list[Finding]:
    """Return what is wrong with workers, lanes, dead letters, rejects, quarantine and spool.

    Args:
        redis: The queue's server.
        settings: Where the spool is, and how much it holds.
        now: Unix seconds.
        gap_events: Events of the last day that the record lacks.

    Raises:
        Exception: One of ``FAILURES``: Redis does not answer.
    """
    snapshot = await take_snapshot(redis, now=now, failure_ttl=settings.failure_ttl)
    record = record_state(snapshot, gap_events=gap_events)
    judged = judge(SystemState(queue=snapshot, spool=spool_state(settings, now=now), record=record))
    return [*judged, *version_findings(snapshot.versions, "a worker")]


def spool_state(settings: Settings, *, now: float) -> SpoolState | None:
    """Read the spool of every ingest process of this machine; None where it cannot be read, or is elsewhere."""
    folder = spool_folder(settings.data_dir)
    try:
        depths = [look(slot.folder).depth for slot in slots(folder)]
    except OSError:
        return None
    oldest = min((depth.oldest for depth in depths if depth.oldest is not None), default=now)
    return SpoolState(
        records=sum(depth.records for depth in depths),
        set_aside=sum(depth.set_aside for depth in depths),
        used_ratio=max((depth.bytes for depth in depths), default=0) / settings.spool_max_bytes,
        is_over_age=now - oldest > settings.spool_max_age,
    )
