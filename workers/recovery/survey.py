"""Walk over all lanes: promote due retries, recover stranded jobs, drop what has expired, retire idle lanes.

It does for all lanes what RQ's scheduler and maintenance do for one queue: atomically, across an outage, and without
charging a retry.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import rq_time
from ackfirst.shared.queue.rejects import LIMIT, LONGEST_ENTRY
from ackfirst.workers.recovery.rejects import Rejects
from ackfirst.workers.recovery.rescuer import Rescuer
from ackfirst.workers.replies import is_job_id, text
from ackfirst.workers.scripts import script

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Lanes that one call of the script looks at: about a millisecond of the server's time.
LANES_A_CALL: Final = 100
#: Lanes that one round of the janitor looks at. Up to so many lanes, every retry is on time; with 10,000 lanes one may
#: be 2.5 s late, and the walk takes about 2 % of the server's time.
LANES_A_ROUND: Final = 2_000
#: Most retries that one call of the script moves: Redis serves no other client meanwhile.
RETRIES_A_CALL: Final = 500
#: Time between two walks that also sweep: retries are urgent, the rest is not.
SWEEP_SECONDS: Final = 5.0
#: Time for which stock RQ workers leave a lane with running jobs alone after a sweep.
LOCK_SECONDS: Final = 120
#: Time after which a job that was taken and not started is stranded: a stock worker starts what it takes long before.
STRANDED_SECONDS: Final = 30.0
#: Time for which a lane must have been empty before it is retired: a stock worker has a job in no list for a moment.
IDLE_SECONDS: Final = 60.0
#: Most entries of one lane that one sweep looks at.
ENTRIES_A_SWEEP: Final = 500
#: Cause of death of a worker that is not ours.
OVERDUE: Final = "no end within the time of the job (timeout)"


class LaneSurvey:
    """Looks at a part of the lanes in each round. ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        redis: Redis,
        rescuer: Rescuer,
        rejects: Rejects,
        *,
        log: "FilteringBoundLogger",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._rescuer = rescuer
        self._rejects = rejects
        self._log = log
        self._clock = clock
        self._survey = script(redis, "survey")
        self._retire = script(redis, "retire")
        self._cursor = 0
        self._is_sweep = True
        self._next_sweep = clock()
        self._taken_since: dict[tuple[str, bytes], float] = {}
        self._taken_now: set[tuple[str, bytes]] = set()
        self._empty_since: dict[str, float] = {}
        self._empty_now: set[str] = set()

    def round(self, now: float) -> None:
        """Do one round's share of the walk; ``now`` in Unix seconds."""
        seen = 0
        while seen < LANES_A_ROUND:
            self._step(now)
            seen += LANES_A_CALL
            if not self._cursor:
                self._finish_walk()
                return

    def walk(self, now: float) -> None:
        """Look at all lanes; ``now`` in Unix seconds."""
        self.round(now)
        while self._cursor:
            self.round(now)

    def _step(self, now: float) -> None:
        if not self._cursor:
            self._is_sweep = self._clock() >= self._next_sweep
        found: list[Any] = self._survey(
            keys=[keys.LANES, keys.READY],
            args=[
                *(self._cursor, LANES_A_CALL, now),
                *(keys.queue(""), keys.scheduled(""), keys.running(""), keys.finished(""), keys.failed("")),
            ],
        )
        cursor, missing, *rows = found
        self._cursor = int(cursor)
        if missing:
            self._log.debug("lanes.ready", lanes=missing)
        for lane, needs in zip(map(text, rows[::2]), rows[1::2], strict=True):
            if b"d" in needs:
                promote(self._redis, lane, now)
            if self._is_sweep:
                self._sweep(lane, needs, now)

    def _sweep(self, lane: str, needs: bytes, now: float) -> None:
        if b"x" in needs:
            with self._redis.pipeline(transaction=False) as pipeline:
                for registry in (keys.finished(lane), keys.failed(lane)):
                    pipeline.zremrangebyscore(registry, 0, now)
                pipeline.execute()
        if b"r" in needs or b"t" in needs:
            self._redis.set(keys.maintenance_lock(lane), "ackfirst", ex=LOCK_SECONDS)
        if b"o" in needs:
            self._recover_overdue(lane, now)
        if b"t" in needs:
            self._recover_stranded(lane, now)
        if b"e" in needs:
            self._retire_when_idle(lane)

    def _recover_overdue(self, lane: str, now: float) -> None:
        entries: Any = self._redis.zrangebyscore(keys.running(lane), 0, now, start=0, num=ENTRIES_A_SWEEP)
        for entry in entries:
            job_id, _, execution = entry.rpartition(b":")
            if is_job_id(job_id) and is_job_id(execution):
                owner = text(entry)
                self._rescuer.recover_job(lane, text(job_id), "overdue", owner=owner, cause=OVERDUE, now=now)
            else:
                self._rejects.put(lane, "running", entry, "not <job id>:<execution id>")

    def _recover_stranded(self, lane: str, now: float) -> None:
        entries: Any = self._redis.lrange(keys.intermediate(lane), 0, ENTRIES_A_SWEEP - 1)
        for entry in entries:
            one = (lane, entry)
            self._taken_now.add(one)
            if self._clock() - self._taken_since.setdefault(one, self._clock()) < STRANDED_SECONDS:
                continue
            if is_job_id(entry):
                cause = "taken, but never started"
                self._rescuer.recover_job(lane, text(entry), "stranded", owner="", cause=cause, now=now)
            else:
                self._rejects.put(lane, "taken", entry, "no job id")

    def _retire_when_idle(self, lane: str) -> None:
        self._empty_now.add(lane)
        if self._clock() - self._empty_since.setdefault(lane, self._clock()) < IDLE_SECONDS:
            return
        others = (keys.scheduled, keys.running, keys.finished, keys.failed, keys.intermediate)
        self._retire(
            keys=[keys.LANES, keys.RQ_QUEUES, keys.READY, keys.queue(lane), *(key(lane) for key in others)],
            args=[lane],
        )

    def _finish_walk(self) -> None:
        if not self._is_sweep:
            return
        self._next_sweep = self._clock() + SWEEP_SECONDS
        self._taken_since = {one: since for one, since in self._taken_since.items() if one in self._taken_now}
        self._empty_since = {one: since for one, since in self._empty_since.items() if one in self._empty_now}
        self._taken_now.clear()
        self._empty_now.clear()


def promote(redis: Redis, lane: str, now: float) -> int:
    """Move every retry of a lane that is due at ``now`` (Unix seconds) to its list; returns how many there were."""
    promote_some = script(redis, "promote")
    total = 0
    while True:
        promoted, seen = promote_some(
            keys=[keys.scheduled(lane), keys.queue(lane), keys.BELL, keys.REJECTS, keys.READY],
            args=[now, RETRIES_A_CALL, keys.BELL_LIMIT, keys.JOB_PREFIX, rq_time(now), lane, LIMIT, LONGEST_ENTRY],
        )
        total += int(promoted)
        if seen < RETRIES_A_CALL:
            return total


def forget_dead_workers(redis: Redis) -> None:
    """Remove RQ workers whose hash has expired from RQ's sets, as ``rq/worker_registration.py`` does."""
    names: list[Any] = list(redis.smembers(keys.RQ_WORKERS))
    with redis.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.exists(name)
        gone = [name for name, exists in zip(names, pipeline.execute(), strict=True) if not exists]
        if gone:
            for lane in redis.sscan_iter(keys.LANES, count=1_000):
                pipeline.srem(keys.queue_workers(text(lane)), *gone)
            pipeline.srem(keys.RQ_WORKERS, *gone)
            pipeline.execute()
