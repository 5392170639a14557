"""What an engine has in its hands, in Redis: the end of jobs that succeeded, and jobs that are given back."""

import functools
import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import rq_time
from ackfirst.workers.engine.ahead import Call
from ackfirst.workers.engine.lanes import JOB_PREFIX, MARKS_PREFIX
from ackfirst.workers.engine.taken import Taken
from ackfirst.workers.processing.processor import Work
from ackfirst.workers.processing.report import Report
from ackfirst.workers.replies import text
from ackfirst.workers.scripts import script


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that succeeded, and is to be written down as such."""

    job: Taken
    work: Work
    report: Report
    began: float
    """Unix seconds."""
    ended: float
    """Unix seconds."""


class Hands:
    """Every method is one round trip, and may be repeated: what is not in the engine's hands is not touched."""

    def __init__(self, redis: Redis, *, engine: str) -> None:
        self._redis = redis
        self._engine = engine
        self._key = keys.hands(engine)
        self._settle = script(redis, "settle")
        self._release = script(redis, "release")

    def settle(self, finished: Sequence[Finished], *, now: float) -> set[str]:
        """Write that these jobs have ended well, and count them; the ids of those that RQ itself must end."""
        settle, keys_, arguments = self.settling(finished, now=now)
        return set(map(text, settle(keys=keys_, args=arguments)))

    def settling(self, finished: Sequence[Finished], *, now: float) -> Call:
        """The call that does so."""
        arguments: list[str | int | float] = [
            *(self._engine, now, keys.LANE_PREFIX, keys.KILLS, JOB_PREFIX, MARKS_PREFIX),
        ]
        for one in finished:
            job, outcome = one.job, one.report.ending.value
            arguments += (job.job_id, job.execution_id, job.lane, _result(outcome), job.result_ttl)
            arguments += (one.began, one.ended, rq_time(one.ended), int(job.has_killed))
        keys_ = [self._key, f"rq:worker:{self._engine}", self._executions]
        return self._settle, keys_, arguments

    def release(self, jobs: Iterable[Taken]) -> int:
        """Give jobs back to the front of their lanes, the first one first; how many there were."""
        return self._give_back([job.job_id for job in jobs])

    def _give_back(self, ids: Sequence[str]) -> int:
        return int(
            self._release(
                keys=[self._key, self._executions, keys.BELL, keys.READY],
                args=[self._engine, keys.BELL_LIMIT, keys.LANE_PREFIX, JOB_PREFIX, *ids],
            )
        )

    def release_all(self) -> None:
        """Give back whatever Redis shows in the engine's hands, heard of or not: nothing runs any more."""
        ids = [text(one) for one in self._redis.hkeys(self._key)]
        if ids:
            self._give_back(ids)

    def holds(self, job: Taken) -> bool:
        """Whether Redis still says so: an engine that was taken for dead has lost what it had."""
        note = self._redis.hget(self._key, job.job_id)
        return note is not None and f" {job.execution_id} ".encode() in note

    @property
    def _executions(self) -> str:
        return f"rq:worker:{self._engine}:executions"


@functools.cache
def _result(outcome: str) -> str:
    """The job's result as RQ 3.0 writes it with the JSON serializer (``rq/results.py``: ``serialize``)."""
    return b64encode(json.dumps(outcome).encode()).decode()
