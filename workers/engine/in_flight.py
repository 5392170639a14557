"""Keep the jobs that an engine has fetched and not settled, here and in Redis."""

import functools
import itertools
import json
import threading
from base64 import b64encode
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import rq_time
from ackfirst.shared.record import record
from ackfirst.workers.engine.fetched_job import FetchedJob
from ackfirst.workers.processing.outcome import Outcome
from ackfirst.workers.processing.outcome_record import recorded
from ackfirst.workers.processing.processor import Work
from ackfirst.workers.processing.retry import RetryableJob
from ackfirst.workers.replies import text
from ackfirst.workers.scripts import script

#: What RQ runs as a job's function, in place of what the job names.
Call = Callable[[RetryableJob], str]


@record
class CompletedJob:
    """A job that succeeded, and is to be written down as such."""

    job: FetchedJob
    work: Work
    outcome: Outcome
    began: float
    """Unix seconds."""
    call: Call
    """For RQ, if it must end the job itself."""


class InFlightStore:
    """The jobs that an engine has fetched and not settled, here and in Redis.

    Every method is one round trip at most, and may be repeated: Redis does not touch a job that the engine does not
    have in flight. Any thread may call any method.
    """

    def __init__(self, redis: Redis, *, engine: str, is_recorded: bool = False) -> None:
        """``is_recorded`` says whether the record is on."""
        self._redis = redis
        self._is_recorded = is_recorded
        self.engine = engine
        self._key = keys.in_flight(engine)
        self._executions = f"rq:worker:{engine}:executions"
        self._settle = script(redis, "settle")
        self._release = script(redis, "release")
        self._lock = threading.Lock()
        # By execution too: a job that RQ retries at once may be fetched again before ``forget`` hears of its end.
        self._held: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return len(self._held)

    def job_ids(self) -> set[str]:
        """List the ids of the jobs."""
        with self._lock:
            return {job_id for job_id, _ in self._held}

    def add(self, jobs: Iterable[FetchedJob]) -> None:
        """Note that a take brought these jobs."""
        with self._lock:
            self._held.update((job.job_id, job.execution_id) for job in jobs)

    def forget(self, jobs: Iterable[FetchedJob]) -> None:
        """Note that these jobs have been settled, or that another engine has them."""
        with self._lock:
            self._held.difference_update((job.job_id, job.execution_id) for job in jobs)

    def settle(self, completed: Sequence[CompletedJob], *, now: float) -> tuple[set[str], set[str]]:
        """Write that these jobs have succeeded.

        Returns:
            The ids that RQ itself must end, because other jobs wait for them; and those that are not this engine's
            any more.
        """
        arguments: list[str | int | float | bytes] = [
            *(self.engine, now, keys.LANE_PREFIX, keys.KILLS, keys.JOB_PREFIX, keys.MARKS_PREFIX),
            *(int(self._is_recorded), keys.HELD_SECONDS),
        ]
        for one in completed:
            job, ended = one.job, one.outcome.ended
            arguments += (job.job_id, job.execution_id, job.lane, _result(one.outcome.ending.value), job.result_ttl)
            arguments += (one.began, ended, rq_time(ended), int(job.has_killed))
            arguments.append(recorded(one.outcome) if self._is_recorded else b"")
        names = [self._key, f"rq:worker:{self.engine}", self._executions, keys.RECORD]
        left, lost = self._settle(keys=names, args=arguments)
        to_rq = set(map(text, left))
        self.forget(one.job for one in completed if one.job.job_id not in to_rq)
        return to_rq, set(map(text, lost))

    def release(self, jobs: Sequence[FetchedJob]) -> None:
        """Give jobs back to the front of their lanes, the first one first, as if they had never been taken."""
        self._give_back([(job.job_id, job.execution_id) for job in jobs])
        self.forget(jobs)

    def release_all(self, *, but: Container[str] = ()) -> None:
        """Give back all jobs that Redis shows in flight here, also those that a lost answer had brought.

        The jobs whose ids are in ``but`` stay, to be counted among those that have cost a process.
        """
        notes: Any = self._redis.hgetall(self._key)
        held = [(text(job_id), text(note).split(" ", 2)[1]) for job_id, note in notes.items()]
        self._give_back([one for one in held if one[0] not in but])
        with self._lock:
            self._held = {one for one in self._held if one[0] in but}

    def _give_back(self, held: Sequence[tuple[str, str]]) -> None:
        if held:
            self._release(
                keys=[self._key, self._executions, keys.BELL, keys.READY],
                args=[
                    *(self.engine, keys.BELL_LIMIT, keys.LANE_PREFIX, keys.JOB_PREFIX),
                    *itertools.chain.from_iterable(held),
                ],
            )

    def holds(self, job: FetchedJob) -> bool:
        """Return whether Redis still says so: an engine that was taken for dead has lost what it had."""
        note = self._redis.hget(self._key, job.job_id)
        return note is not None and f" {job.execution_id} ".encode() in note


@functools.cache
def _result(ending: str) -> str:
    """The job's result as RQ 3.0 writes it with the JSON serializer (``rq/results.py``: ``serialize``)."""
    return b64encode(json.dumps(ending).encode()).decode()
