"""Lets the jobs of dead workers run again; a job that keeps killing its workers becomes a dead letter."""

from typing import TYPE_CHECKING, Any, Final, Literal

import orjson
from redis import Redis
from redis.exceptions import ResponseError
from rq.results import Result

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import rq_time
from ackfirst.workers.engine.lanes import JOB_PREFIX
from ackfirst.workers.recovery.liveness import Death
from ackfirst.workers.recovery.rejects import Rejects
from ackfirst.workers.replies import printable, text
from ackfirst.workers.scripts import script

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: How many workers in a row a job may kill.
MOST_KILLS: Final = 3
#: Characters that are kept of one cause of death.
LONGEST_CAUSE: Final = 200

Why = Literal["held", "overdue", "stranded"]


class Rescuer:
    """Every step is one script that looks again at what it was told: to repeat it, or to die in between, does no harm.

    ``keep`` is the time in seconds for which a dead letter stays when its job does not say.
    """

    def __init__(self, redis: Redis, rejects: Rejects, *, keep: int, log: "FilteringBoundLogger") -> None:
        self._redis = redis
        self._rejects = rejects
        self._keep = keep
        self._log = log
        self._late: set[tuple[str, str]] = set()
        self._rescue = script(redis, "rescue")
        self._bury = script(redis, "bury")

    def see_to(self, death: Death, now: float) -> None:
        """Rescue what the engine had in its hands at its death, and forget the engine. ``now`` in Unix seconds."""
        held = self._redis.hgetall(keys.hands(death.engine))
        for job_id, note in held.items():
            _, _, lane = text(note).split(" ", 2)
            self._rescue_from(death, lane, text(job_id), now)
        self._bury(
            keys=[keys.ENGINES, keys.hands(death.engine), keys.done(death.engine)], args=[death.engine, death.beat]
        )

    def _rescue_from(self, death: Death, lane: str, job_id: str, now: float) -> str:
        return self.rescue(lane, job_id, "held", owner=death.engine, cause=death.cause, now=now, beat=death.beat)

    def rescue(self, lane: str, job_id: str, why: Why, *, owner: str, cause: str, now: float, beat: str = "") -> str:
        """Try to rescue one job; what came of it, in the words of ``rescue.lua``, which also explains the arguments."""
        try:
            before, failure_ttl, status = self._redis.hmget(keys.job(job_id), keys.KILLS, "failure_ttl", "status")
        except ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            self._put_aside(lane, job_id, why, owner, "the job key holds no hash")
            return "vanished"
        killed_it = why != "stranded" and status == b"started"
        kills = [*_kills(before), *([printable(cause)[:LONGEST_CAUSE]] if killed_it else [])]
        dead = len(kills) >= MOST_KILLS
        keep = _seconds(failure_ttl, self._keep) if dead else 0
        came = text(
            self._rescue(
                keys=[*_keys(lane, job_id), keys.hands(owner), keys.done(owner), keys.marks(job_id), keys.READY],
                args=[
                    *(job_id, why, owner, beat),
                    *(keys.KILLS, before or b"", orjson.dumps(kills)),
                    *(now, rq_time(now), keys.BELL_LIMIT, f"rq:execution:{job_id}:", keep),
                    lane,
                    *(_result(job_id, owner, kills, self._redis) if dead else ()),
                ],
            )
        )
        if came == "vanished":
            self._put_aside(lane, job_id, why, owner, "no job hash")
        self._tell(came, lane, job_id, cause, kills)
        return came

    def _put_aside(self, lane: str, job_id: str, why: Why, owner: str, reason: str) -> None:
        if why == "overdue":
            self._rejects.put(lane, "running", owner, reason, job_id=job_id)
        else:
            self._rejects.put(lane, "taken", job_id, reason, job_id=job_id)

    def _tell(self, came: str, lane: str, job_id: str, cause: str, kills: list[str]) -> None:
        if came == "queued":
            self._log.warning("job.rescued", job_id=job_id, lane=lane, cause=cause, kills=len(kills))
        elif came == "spared":
            self._log.info("job.rescued", job_id=job_id, lane=lane, cause=cause, hint="its handlers have run")
        elif came == "alive" and (lane, job_id) not in self._late:
            self._late.add((lane, job_id))
            self._log.warning("job.late", job_id=job_id, lane=lane, hint="its engine lives: ackfirst worker --isolate")
        elif came == "dead":
            self._log.error("job.killed-its-workers", job_id=job_id, lane=lane, causes=kills)


def _keys(lane: str, job_id: str) -> list[str]:
    return [
        JOB_PREFIX + job_id,
        keys.queue(lane),
        keys.intermediate(lane),
        keys.running(lane),
        f"rq:executions:{job_id}",
        keys.ENGINES,
        keys.BELL,
        keys.failed(lane),
        f"rq:results:{job_id}",
        keys.OUTCOMES,
    ]


def _result(job_id: str, worker: str, kills: list[str], redis: Redis) -> list[Any]:
    """The dead letter's error as RQ writes it, flat."""
    error = f"WorkerKilled: {len(kills)} workers in a row died while they ran this job: {'; '.join(kills)}"
    result = Result(job_id, Result.Type.FAILED, redis, exc_string=error, worker_name=worker)
    return [part for pair in result.serialize().items() for part in pair]


def _kills(encoded: bytes | str | None) -> list[str]:
    """What killed the job's workers so far; nothing where a stranger wrote there."""
    try:
        found = orjson.loads(encoded or b"[]")
    except ValueError:
        return []
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _seconds(written: bytes | str | None, default: int) -> int:
    return int(written) if written and written.isdigit() and int(written) else default
