"""What is promised, and by which rows, drills and tests each promise is exercised."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.chaos.ledger import Ledger


def holds(row: Ledger) -> bool:
    """Everything is as the fault allows: answers, times, repetitions."""
    return row.holds


def loses_nothing(row: Ledger) -> bool:
    """Events were acknowledged, and none is missing, however late the answers were."""
    return bool(row.acked) and not row.missing


def lets_nothing_forged_through(row: Ledger) -> bool:
    """No handler was given a callback that nobody could verify."""
    return bool(row.sent) and not any("forged" in problem for problem in row.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One sentence that a user relies on."""

    says: str
    judge: Callable[[Ledger], bool] = holds
    """What a row must show."""
    rows: tuple[str, ...] = ()
    """Faults of the matrix; ``all`` stands for every one."""
    drills: tuple[str, ...] = ()
    """Commands of ``python -m tests.drills``."""
    tests: tuple[str, ...] = ()
    """Files below ``tests/``."""


ALL: Final = "all"

_INGEST_KILLS: Final = ("ingest-kill-9", "ingest-kill-9-whole", "ingest-sigterm", "spool-kill-9", "spool-torn")
_REDIS: Final = ("redis-kill-9", "redis-outage", "redis-sigstop", "redis-oom", "redis-readonly", "redis-loading")
_WORKERS: Final = ("worker-kill-9-before", "worker-kill-9-in-handler", "worker-kill-9-after", "worker-pool-kill-9")

PROMISES: Final = (
    Promise(
        says="A callback that was answered 200 is processed, dead or quarantined in the end; none is missing",
        rows=(ALL,),
        judge=loses_nothing,
    ),
    Promise(
        says="A genuine callback is answered 200 whatever state Redis is in",
        rows=(*_REDIS, "redis-slow", "redis-reset", "redis-script-flush"),
    ),
    Promise(
        says="A genuine callback is answered 200 within two seconds while handlers use every CPU and strangers flood",
        rows=("handlers-burn-cpu", "overload-100", "overload-300"),
        tests=("unit/ingest/test_admission.py", "unit/ingest/test_listener.py"),
    ),
    Promise(
        says="kill -9 of ingest at any moment loses nothing that was answered 200",
        rows=_INGEST_KILLS,
        judge=loses_nothing,
    ),
    Promise(
        says="A loss of power at any moment loses nothing that was answered 200, from Redis or from the spool",
        drills=("power-loss",),
        tests=("unit/spool/test_crash_states.py", "acceptance/test_sync_before_answer.py"),
    ),
    Promise(
        says="The same rounds find the loss when Redis or ingest does not sync",
        drills=("power-loss --careless redis", "power-loss --careless ingest"),
    ),
    Promise(
        says="The loss of the master's machine and disk loses nothing with ACKFIRST_REDIS_REPLICAS",
        drills=("lost-machine",),
        tests=("acceptance/test_sentinel_failover.py",),
    ),
    Promise(
        says="A disk that stays full, has errors, becomes read-only or is removed blocks nothing and loses nothing",
        judge=loses_nothing,
        rows=("spool-disk-full", "spool-disk-stays-full", "spool-folder-removed"),
        tests=("integration/test_spool_disk_faults.py",),
    ),
    Promise(
        says="A damaged or torn record costs no other record",
        judge=loses_nothing,
        rows=("spool-torn", "redis-torn-aof"),
        tests=("unit/spool/test_frames_and_segments.py",),
    ),
    Promise(
        says="An event is handled once, if no process is killed in the middle of it, however often it is delivered",
        rows=("duplicate-delivery", "retry-during-drain"),
        tests=("integration/test_enqueue.py",),
    ),
    Promise(
        says="The job of a killed engine runs again within 15 s, and the others are not touched",
        rows=_WORKERS,
        tests=("integration/test_worker_rescue.py",),
    ),
    Promise(
        says="Every event is in the record once, whatever is killed or full; a gap is counted",
        rows=(
            *("recorder-kill-9", "record-postgresql-kill-9", "record-redis-kill-9"),
            *("record-disk-full", "record-store-wiped"),
        ),
        tests=("integration/test_recorder.py",),
    ),
    Promise(
        says="A stop finishes what has begun and gives the rest back",
        rows=("worker-sigterm", "ingest-sigterm"),
        tests=("integration/test_ingest_stop.py", "integration/test_supervisor_stops.py"),
    ),
    Promise(
        says="A handler that raises, hangs, exits, crashes or leaks costs no other event",
        rows=("handler-raises", "handler-hangs", "handler-ignores-timeout", "handler-exits", "handler-crashes"),
        tests=("integration/test_worker_isolate.py",),
    ),
    Promise(
        says="Clocks that are wrong delay no event for longer than they are wrong, and let no token through",
        rows=("clock-5s-ahead", "clock-5s-behind", "clock-1h-ahead", "clock-1h-behind"),
        tests=("integration/test_worker_redis_clock.py",),
    ),
    Promise(
        says="Entries that are no jobs of ours stop no worker",
        rows=("poison-job", "malformed-hash"),
        tests=("integration/test_worker_rejects.py",),
    ),
    Promise(
        says="A callback that fails verification reaches no handler",
        rows=(ALL,),
        judge=lets_nothing_forged_through,
        tests=("integration/test_ingest_verdicts.py", "acceptance/test_hostile_flood.py"),
    ),
    Promise(
        says="Redis that has lost data is reported with the number of lost events",
        tests=("acceptance/test_redis_loses_its_data.py",),
    ),
    Promise(says="One application's trouble delays no other's events", tests=("integration/test_worker_lanes.py",)),
)
