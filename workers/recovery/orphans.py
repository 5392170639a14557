"""Finds jobs that are to be run but stand in no list, and puts them back into their lanes.

Every step of ours moves a job in one atomic script. A stock RQ worker, a dashboard or a person may lose one in between.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import rq_time
from ackfirst.workers.engine.lanes import JOB_PREFIX
from ackfirst.workers.replies import is_job_id, text
from ackfirst.workers.scripts import script

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Keys of Redis that are looked at in one round of the janitor, in calls of ``STEP``: a few ms of the server's time.
BUDGET: Final = 2_000
STEP: Final = 1_000
#: Seconds between the end of one walk over all keys and the beginning of the next, at the least.
PAUSE: Final = 60.0
#: The pause after a long walk, in times of its length: what is so rare must not take a share of a core from workers.
REST: Final = 4.0
#: Seconds between the first suspicion and the deed: a stock worker has a job in no list for milliseconds.
SUSPICION: Final = 10.0
#: Suspects that are confirmed in one round: each may cost a look through a lane's whole list.
CONFIRM: Final = 2
#: Suspects that are remembered.
MOST: Final = 1_000
#: Jobs at the head of a lane by which is told how old a waiting job can be: a rescued one goes to the front.
HEAD: Final = 32


class Orphans:
    """Walks over all job hashes, a little in each round; ``clock`` gives monotonic seconds.

    A lane is first in, first out: a queued job that is older than the oldest at its lane's head stands in no lane. So a
    walk over a million waiting jobs searches no list.
    """

    def __init__(
        self, redis: Redis, *, log: "FilteringBoundLogger", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._log = log
        self._clock = clock
        self._restore = script(redis, "orphan")
        self._cursor = 0
        self._began = self._next = clock()
        self._suspects: dict[str, tuple[str, str, float]] = {}

    def look(self, now: float) -> None:
        """Do one round's share. ``now`` in Unix seconds."""
        self._confirm(now)
        if self._clock() < self._next:
            return
        self._began = self._began if self._cursor else self._clock()
        heads: dict[str, str] = {}
        for _ in range(BUDGET // STEP):
            found: Any
            self._cursor, found = self._redis.scan(self._cursor, match=f"{JOB_PREFIX}*", count=STEP, _type="hash")
            self._suspect(found, heads)
            if not self._cursor:
                self._next = self._clock() + max(PAUSE, REST * (self._clock() - self._began))
                return

    def _suspect(self, found: Sequence[bytes], heads: dict[str, str]) -> None:
        ids = [name.removeprefix(JOB_PREFIX.encode()) for name in found]
        ids = [one for one in ids if is_job_id(one)]
        with self._redis.pipeline(transaction=False) as pipeline:
            for one in ids:
                pipeline.hmget(keys.job(text(one)), "status", "origin", "enqueued_at")
            rows = pipeline.execute()
        for job_id, status, lane, queued_at in _ours(ids, rows):
            if self._may_be_lost(job_id, status, lane, queued_at, heads) and len(self._suspects) < MOST:
                self._suspects.setdefault(job_id, (lane, status, self._clock()))

    def _may_be_lost(self, job_id: str, status: str, lane: str, queued_at: str, heads: dict[str, str]) -> bool:
        if status == "queued":
            if lane not in heads:
                heads[lane] = self._oldest_at_head(lane)
            # Times as RQ writes them sort like text; an empty lane has nothing that could be older.
            return not heads[lane] or queued_at < heads[lane]
        if status == "scheduled":
            return self._redis.zscore(keys.scheduled(lane), job_id) is None
        return status == "started" and not self._redis.zcard(f"rq:executions:{job_id}")

    def _oldest_at_head(self, lane: str) -> str:
        ids = [text(one) for one in self._redis.lrange(keys.queue(lane), 0, HEAD - 1)]
        with self._redis.pipeline(transaction=False) as pipeline:
            for one in ids:
                pipeline.hget(keys.job(one), "enqueued_at")
            times = [text(one) for one in pipeline.execute() if one]
        return min(times, default="")

    def _confirm(self, now: float) -> None:
        due = [one for one, (_, _, since) in self._suspects.items() if self._clock() - since >= SUSPICION]
        for job_id in due[:CONFIRM]:
            lane, status, _ = self._suspects.pop(job_id)
            if self._restore(keys=_keys(lane, job_id), args=[job_id, status, rq_time(now), keys.BELL_LIMIT]):
                self._log.warning("job.orphaned", job_id=job_id, lane=lane, status=status)


def _ours(ids: Sequence[bytes], rows: Sequence[Any]) -> Iterator[tuple[str, str, str, str]]:
    prefix = keys.LANE_PREFIX.encode()
    for job_id, (status, origin, queued_at) in zip(ids, rows, strict=True):
        if status in (b"queued", b"scheduled", b"started") and origin and origin.startswith(prefix):
            yield text(job_id), text(status), text(origin.removeprefix(prefix)), text(queued_at or b"")


def _keys(lane: str, job_id: str) -> list[str]:
    return [
        keys.job(job_id),
        keys.queue(lane),
        keys.intermediate(lane),
        keys.scheduled(lane),
        keys.running(lane),
        f"rq:executions:{job_id}",
        keys.ENGINES,
        keys.BELL,
    ]
