"""Every Redis key that ackfirst touches, with its type, its life time and its size.

Keys that begin with ``rq:`` belong to RQ 3.0 (``rq/defaults.py``, ``rq/queue.py``, ``rq/job.py``); ours begin
with ``ackfirst:``. Both live in the same database, because one script writes both atomically.
"""

from typing import Final

#: Prefix of the name of every RQ queue that is a lane. ``rq info`` and the dashboard show the full name.
LANE_PREFIX: Final = "ackfirst-"

#: set of RQ queue keys, no expiry. RQ's own list of queues: the dashboard reads it.
RQ_QUEUES: Final = "rq:queues"

#: set of keys of RQ workers, no expiry. The hash that a member names expires without heartbeats of its worker.
RQ_WORKERS: Final = "rq:workers"

#: set of lane names (without prefix), no expiry. One member a lane that holds anything: the janitor retires lanes whose
#: keys are all gone (``workers/lua/retire.lua``), and their next event brings them back.
LANES: Final = "ackfirst:lanes"

#: sorted set lane -> turn, no expiry. One member a lane with waiting jobs: what a take looks at, lowest turn first. Can
#: be rebuilt from the lanes' lists at any time.
READY: Final = "ackfirst:ready"

#: list of at most ``BELL_LIMIT`` one-byte tokens, no expiry. Idle workers block on it: a push wakes one of them.
BELL: Final = "ackfirst:bell"
BELL_LIMIT: Final = 64

#: stream of quarantined callbacks, bounded by count and by bytes (``ackfirst.shared.quarantine``), no expiry.
QUARANTINE: Final = "ackfirst:quarantine"

#: integer, the bytes that the quarantine stream's records hold, no expiry.
QUARANTINE_BYTES: Final = "ackfirst:quarantine:bytes"

#: stream of entries that no worker can run, the newest 5,000, no expiry. At most 1 KB each.
REJECTS: Final = "ackfirst:rejects"

#: string, id of the newest entry of that stream that a janitor has logged and counted, no expiry.
REJECTS_REPORTED: Final = "ackfirst:rejects:reported"

#: hash of counters by outcome, no expiry. At most one field an outcome.
OUTCOMES: Final = "ackfirst:outcomes"

#: hash ``<handler>:seconds`` / ``<handler>:runs``, no expiry. Two fields a registered handler.
HANDLER_TIMES: Final = "ackfirst:handler-times"

#: string ``1``, expires after a minute. Ingest writes it while Redis fails, to see whether it takes writes again.
PROBE: Final = "ackfirst:probe"

#: string with the lease holder's token, expires after the lease. One janitor works at a time.
JANITOR_LEASE: Final = "ackfirst:janitor"

#: integer, grows with every round of a janitor, no expiry. A Redis that refuses it refuses the engines' heartbeats too.
ROUNDS: Final = "ackfirst:rounds"

#: string made by chance once, no expiry. Gone or another one: Redis has lost its data.
GENERATION: Final = "ackfirst:generation"

#: hash engine -> its heartbeat, a number that grows every second while the engine lives, or the cause of its death; no
#: expiry. One field for every engine that has not ended in order and is not forgotten yet.
ENGINES: Final = "ackfirst:engines"

#: field of a job hash, JSON list: what killed the workers that ran it, one text for each in a row. Absent from most.
KILLS: Final = "ackfirst_kills"


def seen_prefix(period: int) -> str:
    """What the keys of all sets of ids begin with that were seen before, in periods of so many seconds."""
    return f"ackfirst:seen:{period}:"


def seen(period: int, number: int, bucket: str) -> str:
    """Set of 64-bit integers, one an event of that period and bucket; expires with the window.

    About 11 bytes an event at 300 a second.
    """
    return f"{seen_prefix(period)}{number}:{bucket}"


def counted(batch: str) -> str:
    """String ``1``, expires after a minute: a batch of outcomes was counted, and is not counted again."""
    return f"ackfirst:counted:{batch}"


def marks(event_id: str) -> str:
    """Hash handler → state of its work on one event, expires with the job. Absent where nothing must be remembered."""
    return f"ackfirst:marks:{event_id}"


def hands(engine: str) -> str:
    """Hash job id → ``<take> <execution id> <lane>``: what an engine has taken and not settled, no expiry.

    At most as many fields as an engine takes at once; gone when its hands are empty.
    """
    return f"ackfirst:hands:{engine}"


def queue_name(lane: str) -> str:
    """RQ's name of a lane's queue."""
    return LANE_PREFIX + lane


def queue(lane: str) -> str:
    """List of job ids that wait in a lane (RQ's own key), no expiry."""
    return f"rq:queue:{LANE_PREFIX}{lane}"


def executions(job_id: str) -> str:
    """Sorted set execution id → unix second at which RQ forgets the execution (RQ's own key), expires."""
    return f"rq:executions:{job_id}"


def execution(job_id: str, execution_id: str) -> str:
    """Hash of one run of a job: its worker and times (RQ's own key), expires."""
    return f"rq:execution:{job_id}:{execution_id}"


def results(job_id: str) -> str:
    """Stream of a job's results, at most 10 (RQ's own key). Expires with the job."""
    return f"rq:results:{job_id}"


def worker(engine: str) -> str:
    """Hash of an RQ worker: state, times and counters (RQ's own key). Expires without heartbeats."""
    return f"rq:worker:{engine}"


def worker_executions(engine: str) -> str:
    """Set of ``<job id>:<execution id>`` that a worker runs (RQ's own key), expires."""
    return f"rq:worker:{engine}:executions"


def queue_workers(lane: str) -> str:
    """Set of keys of the workers that serve a lane (RQ's own key), no expiry."""
    return f"rq:workers:{LANE_PREFIX}{lane}"


def intermediate(lane: str) -> str:
    """List of job ids that were taken but not yet started (RQ's own key), no expiry, holds an id for milliseconds."""
    return f"rq:queue:{LANE_PREFIX}{lane}:intermediate"


def scheduled(lane: str) -> str:
    """Sorted set job id → unix second at which its retry is due (RQ's own key), no expiry."""
    return f"rq:scheduled:{LANE_PREFIX}{lane}"


def running(lane: str) -> str:
    """Sorted set ``<job id>:<execution id>`` → unix second at which it is overdue (RQ's own key), no expiry."""
    return f"rq:wip:{LANE_PREFIX}{lane}"


def finished(lane: str) -> str:
    """Sorted set job id → unix second at which the finished job expires (RQ's own key), no expiry."""
    return f"rq:finished:{LANE_PREFIX}{lane}"


def maintenance_lock(lane: str) -> str:
    """String that keeps RQ workers from sweeping a lane (RQ's own key), expires."""
    return f"rq:clean_registries:{LANE_PREFIX}{lane}"


def failed(lane: str) -> str:
    """Sorted set job id → expiry of its dead letter (RQ's own key), no expiry."""
    return f"rq:failed:{LANE_PREFIX}{lane}"


def job(job_id: str) -> str:
    """Hash of one job (RQ's own key). Expires after ``result_ttl`` or ``failure_ttl`` seconds once it ended."""
    return f"rq:job:{job_id}"
