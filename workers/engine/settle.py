"""Write the ends of jobs to Redis in batches, from a thread of its own."""

import functools
import itertools
import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Container, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import rq_time
from ackfirst.shared.record import record
from ackfirst.workers.engine.fetched_job import FetchedJob
from ackfirst.workers.engine.lanes import JOB_PREFIX, MARKS_PREFIX
from ackfirst.workers.engine.pace import MOST_JOBS
from ackfirst.workers.processing.outcome import Outcome
from ackfirst.workers.processing.outcome_record import recorded
from ackfirst.workers.processing.processor import Processor, Work
from ackfirst.workers.processing.retry import RetryableJob
from ackfirst.workers.replies import text
from ackfirst.workers.scripts import script
from ackfirst.workers.unavailable import Retry

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Seconds for which the first job that has ended waits for others, so that a busy engine settles many in one round
#: trip. What has ended and is not settled runs again after a crash, so an engine that is not busy does not wait: one
#: whose last batch was a single job. A handler never waits for it.
COMPANY_SECONDS: Final = 0.002

#: Seconds for which outcomes wait for others before they are counted and logged: a round trip for each batch of a few
#: events was a third of all round trips. A crash loses as much of the counters and the log, and no event.
COUNT_SECONDS: Final = 0.05

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


@record
class FailedJob:
    """A job that RQ must end: a failure, or no job of ours."""

    job: FetchedJob
    call: Call | None
    """None for what the job itself names."""
    work: Work | None = None
    outcome: Outcome | None = None


class EndByRq(Protocol):
    """Ends a job in RQ's own way."""

    def __call__(self, job: FetchedJob, call: Call | None, outcome: Outcome | None, /) -> bool:
        """Run ``call``, or what the job itself names, as RQ runs a job's function; False if there is no such job.

        ``outcome`` is recorded in the same transaction.
        """


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
        """The ids of the jobs."""
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
            *(self.engine, now, keys.LANE_PREFIX, keys.KILLS, JOB_PREFIX, MARKS_PREFIX),
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
                args=[self.engine, keys.BELL_LIMIT, keys.LANE_PREFIX, JOB_PREFIX, *itertools.chain.from_iterable(held)],
            )

    def holds(self, job: FetchedJob) -> bool:
        """Return whether Redis still says so: an engine that was taken for dead has lost what it had."""
        note = self._redis.hget(self._key, job.job_id)
        return note is not None and f" {job.execution_id} ".encode() in note


class Settler:
    """A thread that settles what has ended, and writes the marks of handlers between the handlers of an event.

    While it waits for Redis, more jobs end; they are its next batch.
    """

    def __init__(
        self,
        store: InFlightStore,
        processor: Processor,
        *,
        retry: Retry,
        end_by_rq: EndByRq,
        on_settled: Callable[[], None],
        log: "FilteringBoundLogger",
        wall: Callable[[], float] = time.time,
    ) -> None:
        """``on_settled`` is called after each batch; ``wall`` gives Unix seconds."""
        self._store = store
        self._processor = processor
        self._retry = retry
        self._end_by_rq = end_by_rq
        self._on_settled = on_settled
        self._log = log
        self._wall = wall
        self.ended = 0
        """How many runs of jobs it has written the end of."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._completed: list[CompletedJob] = []
        self._failed: list[FailedJob] = []
        self._marked: list[tuple[Work, Callable[[], None]]] = []
        self._on_its_way = 0
        self._is_busy = False
        self._uncounted: list[Outcome] = []
        self._next_count = 0.0
        self._thread = threading.Thread(target=self._run, name="settle", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Settle what has ended, and stop; give up after ``seconds``, when Redis is away."""
        self._closing = True
        self._wake.set()
        self._thread.join(seconds)

    @property
    def unsettled(self) -> int:
        """How many jobs have ended and are not settled: they run again if the process dies now."""
        with self._lock:
            return self._on_its_way + len(self._completed) + len(self._failed)

    def complete(self, one: CompletedJob) -> None:
        """Settle a job that succeeded."""
        with self._lock:
            self._completed.append(one)
        self._rouse()

    def fail(self, one: FailedJob) -> None:
        """Let RQ end a job."""
        with self._lock:
            self._failed.append(one)
        self._rouse()

    def write_marks(self, work: Work, then: Callable[[], None]) -> None:
        """Write down which handlers of an event have ended, and call ``then``, which starts the next one.

        Without it, a crash in the next handler would repeat those before it.
        """
        with self._lock:
            self._marked.append((work, then))
        self._rouse()

    def _rouse(self) -> None:
        if not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        while True:
            if self._wake.wait(COUNT_SECONDS if self._uncounted else None):
                if self._is_busy and not (self._closing or self._marked or len(self._completed) >= MOST_JOBS):
                    time.sleep(COMPANY_SECONDS)
                self._settle_next()
            if self._uncounted and (self._closing or time.monotonic() >= self._next_count):
                self._count()
            if self._closing and not self._wake.is_set():
                return

    def _settle_next(self) -> None:
        self._wake.clear()
        with self._lock:
            completed, self._completed = self._completed[:MOST_JOBS], self._completed[MOST_JOBS:]
            failed, self._failed = self._failed, []
            self._on_its_way = len(completed) + len(failed)
            marked, self._marked = self._marked, []
            if self._completed:
                self._wake.set()
        self._is_busy = len(completed) > 1
        try:
            self._write(completed, failed, marked)
        except Exception:  # noqa: BLE001 - one batch must not end the thread that settles all the others
            # Such as a script that Redis refuses. The jobs stay in flight until the engine ends.
            jobs = [*(one.job.job_id for one in completed), *(one.job.job_id for one in failed)]
            self._log.exception("settle.failed", jobs=jobs)
        self._on_its_way = 0
        self._on_settled()

    def _count(self) -> None:
        outcomes, self._uncounted = self._uncounted, []
        self._next_count = time.monotonic() + COUNT_SECONDS
        try:
            self._processor.record(outcomes)
        except Exception:  # noqa: BLE001 - as above
            self._log.exception("outcomes.uncounted", events=len(outcomes))

    def _write(
        self,
        completed: Sequence[CompletedJob],
        failed: Sequence[FailedJob],
        marked: Sequence[tuple[Work, Callable[[], None]]],
    ) -> None:
        if marked:
            works = [work for work, _ in marked]
            self._retry(lambda: self._processor.write_marks(works))
            for _, then in marked:
                then()
        if completed:
            self._settle(completed)
        for one in failed:
            self._fail(one)

    def _settle(self, completed: Sequence[CompletedJob]) -> None:
        to_rq, lost = self._retry(lambda: self._store.settle(completed, now=self._wall()))
        others = to_rq | lost
        self.ended += sum(one.job.job_id not in others for one in completed)
        self._uncounted += [one.outcome for one in completed if one.job.job_id not in others]
        for one in completed:
            if one.job.job_id in to_rq:
                self._fail(FailedJob(one.job, one.call, one.work, one.outcome))

    def _fail(self, one: FailedJob) -> None:
        work, job = one.work, one.job
        if work is not None and work.fresh:
            self._retry(lambda: self._processor.write_marks([work]))
        # Without this look, an engine that was frozen would end a job that another one runs by now.
        is_ended = self._retry(lambda: self._store.holds(job)) and self._end_by_rq(job, one.call, one.outcome)
        self._store.forget([job])
        self.ended += is_ended
        if is_ended and one.outcome is not None:
            self._uncounted.append(one.outcome)


@functools.cache
def _result(ending: str) -> str:
    """The job's result as RQ 3.0 writes it with the JSON serializer (``rq/results.py``: ``serialize``)."""
    return b64encode(json.dumps(ending).encode()).decode()
