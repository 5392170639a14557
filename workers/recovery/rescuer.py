"""Recover the jobs of dead workers; a job that keeps killing its workers becomes a dead letter."""

from typing import TYPE_CHECKING, Any, Final, Literal

import orjson
from redis import Redis
from redis.exceptions import ResponseError
from rq.results import Result

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import rq_time
from ackfirst.shared.replay.job_field import JobReplay
from ackfirst.workers.processing.outcome import EventEnding, Outcome, OutcomeSink
from ackfirst.workers.processing.outcome_record import recorded
from ackfirst.workers.recovery.liveness import Death
from ackfirst.workers.recovery.rejects import Rejects
from ackfirst.workers.replies import printable, text
from ackfirst.workers.scripts import script

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Workers in a row that a job may kill before it is a dead letter.
MAX_KILLS: Final = 3
#: Characters that are kept of one cause of death.
LONGEST_CAUSE: Final = 200

Why = Literal["held", "overdue", "stranded"]


class Rescuer:
    """Recovers jobs one by one. Each is one script that checks its facts again, so a repeated call does no harm.

    ``keep`` is the time in seconds for which a dead letter stays when its job does not say.
    """

    def __init__(
        self,
        redis: Redis,
        rejects: Rejects,
        *,
        keep: int,
        sink: OutcomeSink,
        log: "FilteringBoundLogger",
        is_recorded: bool = False,
    ) -> None:
        """``is_recorded`` says whether the record is on: the script then adds the outcome to it."""
        self._is_recorded = is_recorded
        self._redis = redis
        self._rejects = rejects
        self._keep = keep
        self._sink = sink
        self._log = log
        self._late: set[tuple[str, str]] = set()
        self._rescue = script(redis, "rescue")
        self._forget_engine = script(redis, "forget_engine")

    def recover(self, death: Death, now: float) -> None:
        """Recover the jobs that a dead engine had in flight, and forget the engine. ``now`` in Unix seconds."""
        for job_id, note in self._redis.hgetall(keys.in_flight(death.engine)).items():
            _, _, lane = text(note).split(" ", 2)
            self.recover_job(
                *(lane, text(job_id), "held"),
                owner=death.engine,
                cause=death.cause,
                now=now,
                heartbeat=death.heartbeat,
            )
        self._forget_engine(
            keys=[keys.ENGINES, keys.in_flight(death.engine)],
            args=[death.engine, death.heartbeat],
        )

    def recover_job(
        self, lane: str, job_id: str, why: Why, *, owner: str, cause: str, now: float, heartbeat: str = ""
    ) -> str:
        """Try to recover one job; ``rescue.lua`` explains the arguments and the answer."""
        try:
            before, failure_ttl, status, field = self._redis.hmget(
                keys.job(job_id), keys.KILLS, "failure_ttl", "status", keys.REPLAY
            )
        except ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            self._reject(lane, job_id, why, owner, "the job key holds no hash")
            return "vanished"
        killed_it = why != "stranded" and status == b"started"
        kills = [*_kills(before), *([printable(cause)[:LONGEST_CAUSE]] if killed_it else [])]
        is_dead = len(kills) >= MAX_KILLS
        replay = JobReplay.decode(field)
        outcome = Outcome(
            event_id=job_id,
            lane=lane,
            ending=EventEnding.DEAD if is_dead else EventEnding.RESCUED,
            ended=now,
            worker=owner if why == "held" else "",
            reason="; ".join(kills) if is_dead else cause,
            replay=replay.id if replay else None,
        )
        came = text(
            self._rescue(
                keys=[*_keys(lane, job_id), keys.in_flight(owner), keys.READY, keys.RECORD],
                args=[
                    *(job_id, why, owner, heartbeat),
                    *(keys.KILLS, before or b"", orjson.dumps(kills)),
                    *(now, rq_time(now), keys.BELL_LIMIT, keys.execution(job_id, "")),
                    _seconds(failure_ttl, self._keep) if is_dead else 0,
                    *(lane, b"[%b]" % recorded(outcome) if self._is_recorded else b""),
                    *(_result(job_id, owner, kills, self._redis) if is_dead else ()),
                ],
            )
        )
        if came == "vanished":
            self._reject(lane, job_id, why, owner, "no job hash")
        self._report(came, lane, job_id, cause, kills)
        if came in ("queued", "dead"):
            self._sink.write([outcome])
        return came

    def _reject(self, lane: str, job_id: str, why: Why, owner: str, reason: str) -> None:
        if why == "overdue":
            self._rejects.put(lane, "running", owner, reason, job_id=job_id)
        else:
            self._rejects.put(lane, "taken", job_id, reason, job_id=job_id)

    def _report(self, came: str, lane: str, job_id: str, cause: str, kills: list[str]) -> None:
        if came == "queued":
            self._log.warning("job.rescued", job_id=job_id, lane=lane, cause=cause, kills=len(kills))
        elif came == "alive" and (lane, job_id) not in self._late:
            self._late.add((lane, job_id))
            self._log.warning("job.late", job_id=job_id, lane=lane, hint="its engine lives: ackfirst worker --isolate")
        elif came == "dead":
            self._log.error("job.killed-its-workers", job_id=job_id, lane=lane, causes=kills)


def _keys(lane: str, job_id: str) -> list[str]:
    return [
        keys.job(job_id),
        keys.queue(lane),
        keys.intermediate(lane),
        keys.running(lane),
        keys.executions(job_id),
        keys.ENGINES,
        keys.BELL,
        keys.failed(lane),
        keys.results(job_id),
    ]


def _result(job_id: str, worker: str, kills: list[str], redis: Redis) -> list[Any]:
    """Build the dead letter's error as RQ writes it, as a flat list of fields."""
    error = f"WorkerKilled: {len(kills)} workers in a row died while they ran this job: {'; '.join(kills)}"
    result = Result(job_id, Result.Type.FAILED, redis, exc_string=error, worker_name=worker)
    return [part for pair in result.serialize().items() for part in pair]


def _kills(encoded: bytes | str | None) -> list[str]:
    """Read what killed the job's workers so far; empty when the field was written by another program."""
    try:
        found = orjson.loads(encoded or b"[]")
    except ValueError:
        return []
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _seconds(written: bytes | str | None, default: int) -> int:
    return int(written) if written and written.isdigit() and int(written) else default
