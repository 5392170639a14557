"""Collect the figures of a span of time: counts from the record, and what waits from the queue."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis import Redis

from ackfirst.ops.record.backlog import Backlog
from ackfirst.ops.record.render import Times
from ackfirst.shared.queue.snapshot import LaneDepth, QueueSnapshot, take_snapshot
from ackfirst.shared.record import named_record
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.redis.client import FAILURES
from ackfirst.shared.settings import Settings
from ackfirst.shared.store import Store
from ackfirst.shared.store.results import Stats

#: Shares of the events for which the provider lag is shown.
SHARES: Final = (0.5, 0.9, 0.99)


@named_record
class Figures:
    """Counts of a span of time, and what waits now."""

    stats: Stats
    queue: QueueSnapshot | None
    """None: Redis does not answer."""
    trouble: str | None
    """Why Redis does not answer."""
    behind: float | None
    """Seconds by which the record is behind; None if that is not known."""

    @property
    def lanes(self) -> list[tuple[str, LaneDepth]]:
        """The lanes that hold anything, the longest wait first."""
        lanes = self.queue.lanes if self.queue else {}
        held = [(lane, depth) for lane, depth in lanes.items() if depth.waiting or depth.retries or depth.dead_letters]
        return sorted(held, key=lambda item: (-item[1].oldest_seconds, -item[1].waiting, item[0]))

    @property
    def oldest_seconds(self) -> float | None:
        """Return the seconds that the oldest event has waited for a worker; 0 if none waits, None if unknown."""
        if self.queue is None:
            return None
        return max((depth.oldest_seconds for depth in self.queue.lanes.values()), default=0.0)


def figures(store: Store, redis: Redis, settings: Settings, *, since: float, until: float, now: float) -> Figures:
    """Collect the figures.

    Raises:
        StoreUnavailableError: The record does not answer.
    """
    stats = store.stats(since, until)
    try:
        queue = asyncio.run(_snapshot(settings, now))
        behind = Backlog(redis).lag(after=store.position(), now=now)
    except FAILURES as error:
        return Figures(stats=stats, queue=None, trouble=str(error), behind=None)
    return Figures(stats=stats, queue=queue, trouble=None, behind=behind)


async def _snapshot(settings: Settings, now: float) -> QueueSnapshot:
    client = redis_client.async_redis(settings.redis_url.get_secret_value())
    try:
        return await take_snapshot(client, now=now, failure_ttl=settings.failure_ttl)
    finally:
        await client.aclose()


def as_object(shown: Figures, times: Times) -> dict[str, Any]:
    """Return the figures as the object that ``--json`` prints."""
    found, oldest, behind = shown.stats, shown.oldest_seconds, shown.behind
    seconds = max(1.0, found.until - found.since)
    return {
        "since": times.iso(found.since),
        "until": times.iso(found.until),
        "step_seconds": found.step,
        "totals": found.totals,
        "per_second": {
            kind: {name: round(count / seconds, 4) for name, count in names.items()}
            for kind, names in found.totals.items()
        },
        "provider_lag_seconds": {f"p{round(share * 100)}": finite(quantile(found.lag, share)) for share in SHARES},
        "handlers": [
            {
                "handler": one.handler,
                "runs": one.runs,
                "failures": one.failures,
                "p50_seconds": finite(one.p50),
                "p99_seconds": finite(one.p99),
                "seconds": round(one.seconds, 3),
                "last_error": one.last_error,
                "last_error_at": times.iso(one.last_error_at),
            }
            for one in found.handlers
        ],
        "oldest_waiting_seconds": None if oldest is None else round(oldest, 1),
        "lanes": [
            {
                "lane": lane,
                "oldest_seconds": round(depth.oldest_seconds, 1),
                "waiting": depth.waiting,
                "retries": depth.retries,
                "dead_letters": depth.dead_letters,
                "paused": depth.is_paused,
                "unserved": depth.is_unserved,
            }
            for lane, depth in shown.lanes
        ],
        "record_behind_seconds": None if behind is None else round(behind, 1),
        "gaps": [
            {"from": times.iso(gap.from_at), "to": times.iso(gap.to_at), "events": gap.count, "reason": gap.reason}
            for gap in found.gaps
        ],
        "points": [{"at": times.iso(point.at), **point.counts} for point in found.points],
    }


def quantile(histogram: Mapping[float, int], share: float) -> float | None:
    """Return the upper bound of the bucket in which this share of the values is reached; None without values."""
    wanted, seen = share * sum(histogram.values()), 0
    for bound, count in sorted(histogram.items()):
        seen += count
        if count and seen >= wanted:
            return bound
    return None


def series(found: Stats, kind: str, names: Sequence[str] = ()) -> list[int]:
    """Return the counts of one kind for every step of the span, also of those in which nothing happened."""
    steps = max(1, round((found.until - found.since) / found.step))
    values = [0] * steps
    for point in found.points:
        place = int((point.at - found.since) // found.step)
        if 0 <= place < steps:
            counts = point.counts.get(kind, {})
            values[place] += sum(count for name, count in counts.items() if not names or name in names)
    return values


def finite(bound: float | None) -> float | None:
    """Return a bound of a histogram; None for its last bucket, which has none: JSON knows no infinity."""
    return None if bound is None or bound == float("inf") else bound
