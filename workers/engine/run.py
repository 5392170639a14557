"""Run the handlers of fetched jobs: plain ones in threads, async ones on an event loop, both at once."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from redis.exceptions import RedisError

from ackfirst.shared.errors import EnvelopeError
from ackfirst.workers.engine.fetched_job import FetchedJob
from ackfirst.workers.engine.handler_run import HandlerRun, SerialGates
from ackfirst.workers.engine.in_flight import Call, CompletedJob, InFlightStore
from ackfirst.workers.engine.pace import Pace
from ackfirst.workers.engine.settle import FailedJob, Settler
from ackfirst.workers.engine.threads import ThreadPool
from ackfirst.workers.handlers.async_invoke import AsyncInvoker
from ackfirst.workers.handlers.invoke import PlainInvoker
from ackfirst.workers.processing.dispatch import AttemptResult
from ackfirst.workers.processing.outcome import EventEnding, Outcome
from ackfirst.workers.processing.processor import Processor, Work
from ackfirst.workers.processing.report import HandlersFailed, Report
from ackfirst.workers.processing.retry import RetryableJob, fail_permanently

#: Seconds after which a fetched job is looked up in Redis before it begins: the engine was frozen meanwhile.
STALE_SECONDS: Final = 3.0

#: Endings of a job that succeeded.
_SUCCESS: Final = frozenset({EventEnding.PROCESSED, EventEnding.UNHANDLED, EventEnding.DISCARDED})


class Runner:
    """Take jobs from their envelope to their report, and pass them to the settler.

    ``submit`` is called by the engine's main thread. From then on a job is moved by the thread that its handler ran in.
    """

    def __init__(
        self,
        processor: Processor,
        store: InFlightStore,
        settler: Settler,
        pace: Pace,
        pool: ThreadPool[HandlerRun],
        *,
        invoke: PlainInvoker,
        stops: Callable[[], bool],
    ) -> None:
        """``stops`` says whether nothing new is to begin."""
        self._processor = processor
        self._store = store
        self._settler = settler
        self._pace = pace
        self._invoke = invoke
        self._stops = stops
        self.pool = pool
        self.gates = SerialGates(pace)
        self.loop = AsyncInvoker()
        self.begun = 0
        """Changes whenever a job begins; threads that begin one at the same instant may count as one."""
        self._kept: deque[HandlerRun] = deque()
        self.moving = threading.Lock()
        """Held while jobs move between their lanes and here, either way. A batch that came while an older one went back
        would go back later, and stand before it in their lane."""

    def submit(self, job: FetchedJob) -> None:
        """Read a job's event, and let its first handler run as soon as it can."""
        text = job.envelope_text()
        if text is None:
            reason = "it is no call of ackfirst's function"
            self._settler.fail(FailedJob(job, None, outcome=self._dead(job, reason)))
            return
        try:
            work = self._processor.open(text, timeout=job.timeout, marks=job.marks, replay=job.replay)
            if work.event.id != job.job_id:  # its marks are under the event's id
                work = self._processor.open(text, timeout=job.timeout)
        except EnvelopeError as error:
            self._settler.fail(FailedJob(job, _failing_for_good(error), outcome=self._dead(job, str(error))))
            return
        try:
            attempt = next(work.pass_)
        except StopIteration as end:
            self._complete(job, work, time.time(), end.value)
            return
        self._enter(HandlerRun(job, work, attempt, queued=time.monotonic()))

    def waits_since(self, second: float) -> bool:
        """Return whether a job that has not begun has waited since that monotonic second or longer."""
        waiting = [*self.pool.waiting(), *self.gates.waiting()]
        return any(run.queued <= second and not run.has_begun for run in waiting)

    def take_back(self) -> list[FetchedJob]:
        """Remove the jobs that have not begun, in the order in which they came."""
        kept, self._kept = self._kept, deque()
        waiting = self.gates.take_back()
        admitted = [*self.pool.take_back(), *kept]
        for run in admitted:  # holds the gate of its serial handler, which would otherwise never run again here
            self._leave(run)
        return [run.job for run in sorted([*admitted, *waiting], key=lambda run: run.queued)]

    def _dead(self, job: FetchedJob, reason: str) -> Outcome:
        return Outcome(
            event_id=job.job_id,
            lane=job.lane,
            ending=EventEnding.DEAD,
            ended=time.time(),
            worker=self._store.engine,
            reason=reason,
            replay=job.replay.id if job.replay else None,
        )

    def _enter(self, run: HandlerRun) -> None:
        if not run.attempt.handler.serial or self.gates.enter(run):
            self._start(run)

    def _start(self, run: HandlerRun) -> None:
        if run.attempt.handler.is_async and not self._invoke.runs_async:
            self._start_async(run, None)
        else:
            self.pool.put(run, first=run.has_begun)

    def run_plain(self, run: HandlerRun) -> None:
        """Make the attempt that is due, in a thread of the pool."""
        if not self._begin(run):
            return
        resumed = run.resumed = time.monotonic()
        result = self._invoke(run.attempt)
        if isinstance(result, AttemptResult):
            self._go_on(run, result)
            self._pace.ran(run.lane, time.monotonic() - resumed)  # with what the engine itself does: that too is a wait
        else:  # the handler has returned something to be awaited
            self._start_async(run, result)

    def _start_async(self, run: HandlerRun, awaitable: object) -> None:
        if not self._begin(run):
            return
        self._pace.waits(run.lane)
        run.resumed = time.monotonic()

        def then(result: AttemptResult) -> None:
            self._pace.returned(run.lane)
            self._go_on(run, result)

        self.loop.start(run.attempt, then, awaitable)

    def _begin(self, run: HandlerRun) -> bool:
        """Return whether a job may begin; from then on it is not given back."""
        if run.has_begun:
            return True
        if self._stops():
            self._kept.append(run)
            return False
        if time.monotonic() - run.job.at > STALE_SECONDS and not self._still_holds(run.job):
            self._store.forget([run.job])
            self._leave(run)
            return False
        run.began = time.time()
        self.begun += 1
        return True

    def _still_holds(self, job: FetchedJob) -> bool:
        try:
            return self._store.holds(job)
        except RedisError:  # not known while Redis is away: it may run twice, but it runs
            return True

    def _leave(self, run: HandlerRun) -> None:
        if run.attempt.handler.serial:
            waiting = self.gates.leave(run.attempt.handler.name)
            if waiting is not None:
                self._start(waiting)

    def _go_on(self, run: HandlerRun, result: AttemptResult) -> None:
        self._leave(run)
        try:
            run.attempt = run.work.pass_.send(result)
        except StopIteration as end:
            self._complete(run.job, run.work, run.began, end.value)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is this job's failure: RQ retries it
            # SystemExit included: it would end the thread of the pool, and hold the job until the engine ends.
            self._settler.fail(FailedJob(run.job, _failing(error), run.work))
        else:
            self._settler.write_marks(run.work, lambda: self._enter(run))

    def _complete(self, job: FetchedJob, work: Work, began: float, report: Report) -> None:
        outcome = self._processor.outcome(work, report, worker=self._store.engine)
        call = _ending(self._processor, work, report)
        if report.ending in _SUCCESS and job.result_ttl and work.event.id == job.job_id:
            self._settler.complete(CompletedJob(job, work, outcome, began, call))
        else:
            self._settler.fail(FailedJob(job, call, work, outcome))

    @property
    def is_running(self) -> bool:
        """Return whether handlers run."""
        return bool(self.pool.running()) or self.loop.is_running

    def under_way(self) -> Iterable[HandlerRun]:
        """The jobs that have begun and hold a thread."""
        return self.pool.running()


def _ending(processor: Processor, work: Work, report: Report) -> Call:
    return lambda job: processor.end(work, report, job)


def _failing(error: BaseException) -> Call:
    def call(_job: RetryableJob) -> str:
        if isinstance(error, Exception):
            raise error
        raise HandlersFailed(f"{type(error).__name__} after the handler had ended") from error

    return call


def _failing_for_good(error: Exception) -> Call:
    def call(job: RetryableJob) -> str:
        fail_permanently(job)
        raise error

    return call
