"""Name every Redis key that ackfirst uses, with its type, expiry and size.

Keys that begin with ``rq:`` belong to RQ 3.0 (``rq/defaults.py``, ``rq/queue.py``, ``rq/job.py``); ours begin
with ``ackfirst:``. Both are in the same database, because one script writes both atomically. No other module spells
a name of RQ's: a new version of RQ is one file to look at.
"""

from typing import Final

#: Prefix of the RQ queue name of every lane. ``rq info`` and rq-dashboard show the full name.
LANE_PREFIX: Final = "ackfirst-"

#: what the keys of job hashes begin with (RQ's own): a script adds the ids.
JOB_PREFIX: Final = "rq:job:"

#: what the keys of marks begin with, as above.
MARKS_PREFIX: Final = "ackfirst:marks:"

#: set of RQ queue keys, no expiry. RQ's own list of queues: rq-dashboard reads it.
RQ_QUEUES: Final = "rq:queues"

#: set of keys of RQ workers, no expiry. The hash that a member names expires when its worker's heartbeats stop.
RQ_WORKERS: Final = "rq:workers"

#: set of lane names (without prefix), no expiry. One member a lane that holds anything: the janitor retires lanes whose
#: keys are all gone (``workers/lua/retire.lua``), and their next event brings them back.
LANES: Final = "ackfirst:lanes"

#: sorted set lane -> turn, no expiry. One member a lane with waiting jobs: what a take looks at, lowest turn first. Can
#: be rebuilt from the lanes' lists at any time.
READY: Final = "ackfirst:ready"

#: hash lane -> ``<unix seconds> <who paused it>``, no expiry. Engines take nothing from these lanes. One field a lane
#: that the operator has paused; it stays when the lane is retired, so that its next event waits too.
PAUSED: Final = "ackfirst:paused"

#: list of at most ``BELL_LIMIT`` one-byte tokens, no expiry. Idle workers block on it: a push wakes one of them.
BELL: Final = "ackfirst:bell"
BELL_LIMIT: Final = 64

#: stream of quarantined callbacks, bounded by count and by bytes (``ackfirst.shared.quarantine``), no expiry.
QUARANTINE: Final = "ackfirst:quarantine"

#: integer, bytes of all records in the quarantine stream, no expiry.
QUARANTINE_BYTES: Final = "ackfirst:quarantine:bytes"

#: stream of entries that no worker can run, the newest 5,000, no expiry. At most 1 KB each.
REJECTS: Final = "ackfirst:rejects"

#: string, id of the newest entry of that stream that a janitor has logged and counted, no expiry.
REJECTS_REPORTED: Final = "ackfirst:rejects:reported"

#: hash of counters by outcome, no expiry. At most one field an outcome.
OUTCOMES: Final = "ackfirst:outcomes"

#: hash ``<handler>:seconds`` / ``<handler>:runs``, no expiry. Two fields a registered handler.
HANDLER_TIMES: Final = "ackfirst:handler-times"

#: stream of what happened, for the record (``shared/queue/record.py`` has its fields), no expiry. One entry a batch;
#: the recorder trims what the store holds. Nothing is written to it while the record is off.
RECORD: Final = "ackfirst:record"

#: hash of what the recorder has done (``shared/queue/record.py``), no expiry. Fewer than ten fields.
RECORDER: Final = "ackfirst:recorder"

#: string with the lease holder's token, expires after the lease. One recorder works at a time.
RECORDER_LEASE: Final = "ackfirst:recorder:lease"

#: hash ``<account>/<application id>`` -> unix seconds of its last verified callback, no expiry. One field an
#: application; either part may be empty.
LAST_CALLBACKS: Final = "ackfirst:last-callbacks"

#: hash of the same form -> unix seconds of the last callback that could not be confirmed, no expiry. At most
#: ``LAST_UNCONFIRMED_LIMIT`` fields, because any sender may claim any name.
LAST_UNCONFIRMED: Final = "ackfirst:last-unconfirmed"
LAST_UNCONFIRMED_LIMIT: Final = 10_000

#: field of a job hash, ``1``: the stream of the record has the event's arrival. Absent while the record is off.
RECORDED: Final = "ackfirst_record"

#: Added to the unix second of its end, the score of a finished job that waits for the recorder in RQ's registry: beyond
#: every expiry, and the oldest comes first.
HELD_SECONDS: Final = 100_000_000_000

#: string ``1``, expires after a minute. Ingest writes it while Redis fails, to find out whether it takes writes again.
PROBE: Final = "ackfirst:probe"

#: string with the lease holder's token, expires after the lease. One janitor works at a time.
JANITOR_LEASE: Final = "ackfirst:janitor"

#: string, present only while the script that checks our rights runs (``shared/redis/rights.lua``).
RIGHTS: Final = "ackfirst:rights"

#: integer, incremented in every round of a janitor, no expiry. A Redis that refuses it refuses heartbeats as well.
ROUNDS: Final = "ackfirst:rounds"

#: random string and the unix second at which it was written, once, no expiry. Missing or different: Redis has lost all
#: its data.
GENERATION: Final = "ackfirst:generation"

#: integer, incremented by one for every event that is acknowledged (queued or quarantined), no expiry. Smaller than
#: before: Redis has lost its newest writes (``shared/queue/generation.py``).
ACKNOWLEDGED: Final = "ackfirst:acknowledged"

#: hash engine -> its heartbeat, a number that grows every second while the engine lives, or the cause of its death; no
#: expiry. One field for every engine that has not ended in order and is not forgotten yet.
ENGINES: Final = "ackfirst:engines"

#: field of a job hash, JSON list: what killed the workers that ran it, one text for each in a row. Absent from most.
KILLS: Final = "ackfirst_kills"

#: field of a job hash, JSON (``shared/replay/job_field.py``): the replay that queued it. Absent from most.
REPLAY: Final = "ackfirst_replay"


#: sorted set ``<host>:<pid>`` -> unix seconds of the newest figures of that ingest process, no expiry. Members that
#: have been silent for a minute are removed by the others.
INGEST_PROCESSES: Final = "ackfirst:ingest"


def ingest_figures(process: str) -> str:
    """Name the JSON text that an ingest process publishes about itself (``ingest/figures.py``); expires in 10 s."""
    return f"ackfirst:ingest:{process}"


def replay(replay_id: str) -> str:
    """Name the hash of a replay: its cursor and counters; expires 30 days after its last event.

    Without it, a replay that runs begins again, and passes over what has ended since it was created.
    """
    return f"ackfirst:replay:{replay_id}"


def replay_endings(replay_id: str) -> str:
    """Name the hash of a replay's counters of outcomes; expires 30 days after the last one."""
    return f"ackfirst:replay:{replay_id}:endings"


def replay_newest(replay_id: str) -> str:
    """Name the list of a replay's newest outcomes, at most 50 short texts; expires as the counters do."""
    return f"ackfirst:replay:{replay_id}:newest"


def application(account: str | None, application_id: str | None) -> str:
    """Name the field of an application in ``LAST_CALLBACKS`` and ``LAST_UNCONFIRMED``."""
    return f"{account or ''}/{application_id or ''}"


#: field of an RQ worker's hash, ``1``: it serves every lane. ``queues`` names at most 100 of them, and a lane that has
#: just got its first event only at the worker's next heartbeat. Absent for pinned and for stock workers.
SERVES_ALL: Final = "ackfirst_serves_all"

#: field of an RQ worker's hash: the release of ackfirst that it is of. Absent for stock workers.
WORKER_VERSION: Final = "ackfirst_version"


def seen_prefix(period: int) -> str:
    """Name the prefix of the sets of ids that were seen before, in periods of so many seconds."""
    return f"ackfirst:seen:{period}:"


def seen(period: int, number: int, bucket: str) -> str:
    """Name the set of 64-bit integers, one an event of that period and bucket; expires with the window.

    About 11 bytes an event at 300 a second.
    """
    return f"{seen_prefix(period)}{number}:{bucket}"


def counted(batch: str) -> str:
    """String ``1``, expires after a minute: a batch of outcomes was counted, and is not counted again."""
    return f"ackfirst:counted:{batch}"


def marks(event_id: str) -> str:
    """Name the hash handler → state of its work on one event; expires with the job. Absent if nothing must be kept."""
    return MARKS_PREFIX + event_id


def in_flight(engine: str) -> str:
    """Name the hash job id → ``<take> <execution id> <lane>``: what an engine has taken and not settled; no expiry.

    At most as many fields as an engine takes at once; deleted with the last one.
    """
    return f"ackfirst:in-flight:{engine}"


def queue_name(lane: str) -> str:
    """Name the name of a lane's queue in RQ."""
    return LANE_PREFIX + lane


def queue(lane: str) -> str:
    """Name the list of job ids that wait in a lane (RQ's own key), no expiry."""
    return f"rq:queue:{LANE_PREFIX}{lane}"


def intermediate(lane: str) -> str:
    """Name the list of job ids that were taken and not yet started (RQ's own key), no expiry; for milliseconds each."""
    return f"rq:queue:{LANE_PREFIX}{lane}:intermediate"


def scheduled(lane: str) -> str:
    """Name the sorted set job id → unix second at which its retry is due (RQ's own key), no expiry."""
    return f"rq:scheduled:{LANE_PREFIX}{lane}"


def running(lane: str) -> str:
    """Name the sorted set ``<job id>:<execution id>`` → unix second when it is overdue (RQ's own key), no expiry."""
    return f"rq:wip:{LANE_PREFIX}{lane}"


def finished(lane: str) -> str:
    """Name the sorted set job id → unix second at which the finished job expires (RQ's own key), no expiry."""
    return f"rq:finished:{LANE_PREFIX}{lane}"


def maintenance_lock(lane: str) -> str:
    """Name the string that keeps RQ workers from sweeping a lane (RQ's own key), expires."""
    return f"rq:clean_registries:{LANE_PREFIX}{lane}"


def failed(lane: str) -> str:
    """Name the sorted set job id → expiry of its dead letter (RQ's own key), no expiry."""
    return f"rq:failed:{LANE_PREFIX}{lane}"


def job(job_id: str) -> str:
    """Name the hash of one job (RQ's own key). Expires ``result_ttl`` or ``failure_ttl`` seconds after its end."""
    return JOB_PREFIX + job_id


def executions(job_id: str) -> str:
    """Name the sorted set of a job's execution ids (RQ's own key), no expiry; present while the job runs."""
    return f"rq:executions:{job_id}"


def execution(job_id: str, execution_id: str) -> str:
    """Name the hash of one run of a job (RQ's own key); expires when the run is overdue."""
    return f"rq:execution:{job_id}:{execution_id}"


def results(job_id: str) -> str:
    """Name the stream of a job's results (RQ's own key); expires with the job."""
    return f"rq:results:{job_id}"


def worker(name: str) -> str:
    """Name the hash of a worker (RQ's own key); expires when its heartbeats stop."""
    return f"rq:worker:{name}"


def worker_executions(name: str) -> str:
    """Name the set ``<job id>:<execution id>`` of what a worker runs (RQ's own key)."""
    return f"rq:worker:{name}:executions"


def queue_workers(lane: str) -> str:
    """Name the set of keys of the workers that serve a lane (RQ's own key), no expiry."""
    return f"rq:workers:{LANE_PREFIX}{lane}"


#: What ingest writes, and what all of us write: prefixes of key names, which end in a colon, and names of sets. The
#: start checks our rights in each of them (``shared/redis/rights.py``).
INGEST_SPACES: Final = ("ackfirst:", RQ_QUEUES, "rq:queue:", "rq:job:")
SPACES: Final = (
    *INGEST_SPACES,
    RQ_WORKERS,
    "rq:workers:",
    "rq:scheduled:",
    "rq:wip:",
    "rq:finished:",
    "rq:failed:",
    "rq:clean_registries:",
    "rq:executions:",
    "rq:execution:",
    "rq:results:",
    "rq:worker:",
)
