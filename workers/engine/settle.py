"""Write the ends of jobs to Redis in batches, from a thread of its own."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from ackfirst.shared.record import record
from ackfirst.workers.engine.fetched_job import FetchedJob
from ackfirst.workers.engine.in_flight import Call, CompletedJob, InFlightStore
from ackfirst.workers.engine.pace import MOST_JOBS
from ackfirst.workers.processing.outcome import Outcome
from ackfirst.workers.processing.processor import Processor, Work
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
        """Count the jobs that have ended and are not settled: they run again if the process dies now."""
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
