"""Read the state of the queue from Redis at one moment: workers, lanes, dead letters, quarantine, counters.

For ``/metrics``, ``/readyz``, ``doctor`` and the operator's page; never on the path of a callback.
"""

import heapq
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from redis.asyncio import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.record import GAP_EVENTS, GAP_RECENT, RECORDED
from ackfirst.shared.queue.scripts import source

#: Lanes that are shown by name: of ten thousand, no page and no series of metrics could show all.
SHOWN_LANES: Final = 100
#: Name under which the sums of all other lanes are shown. No lane can be called so.
OTHER_LANES: Final = "(other)"
#: Lanes that one call asks: less than a millisecond of the server's time.
LANES_A_CALL: Final = 250
#: A dead letter younger than this counts as recent.
RECENT_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneDepth:
    """One lane at one moment."""

    waiting: int
    retries: int
    dead_letters: int
    oldest_seconds: float
    """Age of the event that waits longest; 0 when none waits."""
    dead_last_hour: int = 0
    is_unserved: bool = False
    """True if events wait and no living worker serves the lane."""
    is_paused: bool = False
    """True while the operator lets workers take nothing from it."""


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
    rejects: int = 0
    record_entries: int = 0
    """Entries of the stream that wait to be recorded."""
    record_oldest_seconds: float = 0.0
    """How long the first of them has waited."""
    record_events: int = 0
    """Events that were recorded in all."""
    record_gap_events: int = 0
    """Events that the record misses in all."""
    record_recent_gap_events: int = 0
    """Those of them since the last whole day without a gap."""
    versions: frozenset[str] = frozenset()
    """Releases of ackfirst that living workers are of."""
    clock_skew_seconds: float = 0.0
    """This machine's clock minus Redis's; 0 where the length of the round trip explains the difference."""
    lanes: Mapping[str, LaneDepth] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    handlers: Mapping[str, HandlerTime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Workers:
    """The living workers and the queues that they serve."""

    count: int
    queues: frozenset[str]
    serve_all: bool
    versions: frozenset[str]

    def serve(self, lane: str) -> bool:
        return self.serve_all or keys.queue_name(lane) in self.queues


async def take_snapshot(redis: Redis, *, now: float, failure_ttl: int) -> QueueSnapshot:
    """Ask everything; two round trips, and one for each few hundred lanes.

    Args:
        redis: A client that does not decode.
        now: Unix seconds.
        failure_ttl: Seconds that a dead letter is kept: RQ notes when it expires, not when it died.

    Raises:
        Exception: One of ``FAILURES``: Redis does not answer, or does not like a question.
    """
    started = time.monotonic()
    async with redis.pipeline(transaction=False) as pipeline:
        pipeline.smembers(keys.RQ_WORKERS)
        pipeline.xlen(keys.QUARANTINE)
        pipeline.get(keys.QUARANTINE_BYTES)
        pipeline.xlen(keys.REJECTS)
        pipeline.hgetall(keys.OUTCOMES)
        pipeline.hgetall(keys.HANDLER_TIMES)
        pipeline.hkeys(keys.PAUSED)
        pipeline.xlen(keys.RECORD)
        pipeline.xrange(keys.RECORD, count=1)
        pipeline.hmget(keys.RECORDER, RECORDED, GAP_EVENTS, GAP_RECENT)
        pipeline.time()
        answers = await pipeline.execute()
    names, records, held, rejects, outcomes, times, paused, entries, first, recorder, (seconds, microseconds) = answers
    took = time.monotonic() - started
    workers = await _living(redis, names)
    return QueueSnapshot(
        workers=workers.count,
        quarantine_records=records,
        quarantine_bytes=int(held or 0),
        rejects=rejects,
        record_entries=entries,
        record_oldest_seconds=max(0.0, seconds - int(first[0][0].partition(b"-")[0]) / 1000) if first else 0.0,
        versions=workers.versions,
        record_events=int(recorder[0] or 0),
        record_gap_events=int(recorder[1] or 0),
        record_recent_gap_events=int(recorder[2] or 0),
        clock_skew_seconds=_skew(now, took, seconds + microseconds / 1e6),
        lanes=await _lane_depths(redis, now, workers, paused, dead_after=now + failure_ttl - RECENT_SECONDS),
        outcomes={name.decode(errors="replace"): int(count) for name, count in outcomes.items()},
        handlers=handler_times(times),
    )


def _skew(sent: float, took: float, there: float) -> float:
    """Return the clock here minus the clock there, as far as the time that the answer took cannot explain it."""
    if there < sent:
        return sent - there
    return min(0.0, sent + took - there)


async def _living(redis: Redis, names: set[bytes]) -> _Workers:
    """Read RQ's workers with a current heartbeat: a killed one stays in the set until another cleans up."""
    async with redis.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.exists(name)
            pipeline.hmget(name, "queues", keys.SERVES_ALL, keys.WORKER_VERSION)
        answers = iter(await pipeline.execute())
    living = [fields for exists, fields in zip(answers, answers, strict=True) if exists]
    queues = {queue for served, *_ in living if served for queue in served.decode(errors="replace").split(",")}
    versions = {version.decode(errors="replace") for *_, version in living if version}
    serve_all = any(everything for _, everything, _ in living)
    return _Workers(len(living), frozenset(queues), serve_all, frozenset(versions))


async def _lane_depths(
    redis: Redis, now: float, workers: _Workers, paused: Iterable[bytes], *, dead_after: float
) -> dict[str, LaneDepth]:
    """Ask all lanes, some at a time; the deepest and the oldest by name, the sums of the others as one."""
    script = redis.register_script(source("ackfirst.shared.queue", "lane_depths.lua"))
    prefixes = (keys.queue(""), keys.scheduled(""), keys.failed(""), keys.job(""))
    pauses = set(paused)
    shown: dict[str, LaneDepth] = {}
    rest = _NONE
    cursor: Any = 0
    while True:
        cursor, *cells = await script(keys=[keys.LANES], args=[cursor, LANES_A_CALL, *prefixes, dead_after])
        for lane, waiting, retries, dead, recent, queued_at in zip(*(iter(cells),) * 6, strict=True):
            name = lane.decode(errors="replace")
            shown[name] = LaneDepth(
                waiting=waiting,
                retries=retries,
                dead_letters=dead,
                dead_last_hour=recent,
                oldest_seconds=_age(queued_at, now),
                is_unserved=bool(waiting) and not workers.serve(name),
                is_paused=lane in pauses,
            )
        shown, left_over = _most_interesting(shown)
        for depth in left_over:
            rest = _sum(rest, depth)
        if not int(cursor):
            break
    found = dict(sorted(shown.items()))
    return found if rest is _NONE else {**found, OTHER_LANES: rest}


def _sum(one: LaneDepth, other: LaneDepth) -> LaneDepth:
    return LaneDepth(
        waiting=one.waiting + other.waiting,
        retries=one.retries + other.retries,
        dead_letters=one.dead_letters + other.dead_letters,
        dead_last_hour=one.dead_last_hour + other.dead_last_hour,
        oldest_seconds=max(one.oldest_seconds, other.oldest_seconds),
        is_unserved=one.is_unserved or other.is_unserved,
        is_paused=one.is_paused and other.is_paused,
    )


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
    """Return the seconds since a job was queued; 0 where there is none, or its time cannot be read."""
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
