"""Runs what an engine has in its hands: plain handlers one after the other, async ones at once, ends in batches."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from shared.errors import EnvelopeError
from workers.dispatch import Attempt, Ending, Invoke
from workers.hands import Finished, Hands
from workers.invoke import Invoker
from workers.pace import Pace
from workers.patience import OUTAGES, Steadily
from workers.processor import Processor, Work
from workers.report import Outcome, Report
from workers.steering import Steerable
from workers.taken import Taken
from workers.verdicts import ForcedStop

#: Seconds after which the end of a job is written at the latest while others go on.
SETTLE: Final = 0.025
#: Seconds for which async handlers go on before new jobs are looked for.
PUMP: Final = 0.005
#: Seconds after which a job in hand is asked for again in Redis before it runs: the engine was frozen meanwhile.
STALE: Final = 3.0

#: What RQ is to run as a job's function.
Call = Callable[[Steerable], str]


class ByRq(Protocol):
    """Ends a job in RQ's own way."""

    def __call__(self, taken: Taken, call: Call | None) -> bool:
        """Run ``call``, or what the job itself names, as RQ runs a job's function; False if there is no such job."""


@dataclass(slots=True)
class _Run:
    """A job whose handlers have begun."""

    job: Taken
    work: Work
    began: float
    """Unix seconds."""
    resumed: float
    """Monotonic seconds since when it holds the engine."""


class Flow:
    """From taken jobs to settled ones. ``relieve`` may be called by another thread at any time."""

    def __init__(
        self,
        processor: Processor,
        invoke: Invoke,
        hands: Hands,
        pace: Pace,
        by_rq: ByRq,
        *,
        steadily: Steadily,
        stops: Callable[[], bool],
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``stops`` says whether nothing new is to begin."""
        self._processor = processor
        self._invoke = invoke
        self._invoker = invoke if isinstance(invoke, Invoker) else None
        self._hands = hands
        self._pace = pace
        self._by_rq = by_rq
        self._steadily = steadily
        self._stops = stops
        self._wall = wall
        self._clock = clock
        self._lock = threading.RLock()
        self._next: deque[Taken] = deque()
        self._under_way: dict[str, _Run] = {}
        self._finished: list[Finished] = []
        self._finished_since = 0.0
        self._held: set[str] = set()
        self.current: str | None = None
        """Id of the job that holds the engine."""
        self.begun = 0
        """How often a job has begun to hold it."""
        self.started = 0
        """How many jobs were run."""
        self.busy = threading.Event()
        """Set while ``run`` is at work."""

    @property
    def held(self) -> int:
        """How many jobs are in hand as far as Redis has confirmed."""
        return len(self._held)

    @property
    def waits(self) -> int:
        """How many of them wait in async handlers."""
        return len(self._under_way)

    def add(self, jobs: Sequence[Taken]) -> None:
        """Put jobs in the line."""
        with self._lock:
            self._next.extend(jobs)
            self._held.update(job.job_id for job in jobs)

    def run(self) -> None:
        """Run what stands in the line, let async handlers go on for a moment, and write down what has ended."""
        self.busy.set()
        try:
            while (job := self._take_next()) is not None:
                self._start(job)
                self._settle_in_time()
            self.current = None
            if self._invoker:
                self._invoker.pump(PUMP)
            self.settle()
        except ForcedStop:
            self._break_off()
        finally:
            self.current = None
            self.busy.clear()

    def _take_next(self) -> Taken | None:
        with self._lock:
            return self._next.popleft() if self._next and not self._stops() else None

    def _start(self, job: Taken) -> None:
        self.current = job.job_id
        self.begun += 1
        began = self._clock()
        if began - job.at > STALE and not self._steadily(lambda: self._hands.holds(job)):
            self._held.discard(job.job_id)
            return
        work = self._open(job)
        if work is None:
            self.started += self._end_by_rq(job, None)
            self._pace.ran(job.lane, self._clock() - began)
        else:
            self.started += 1
            self._advance(_Run(job, work, self._wall(), began), None)

    def _open(self, job: Taken) -> Work | None:
        """Begin the pass; None for what RQ must judge: what it calls a failure, or we have no quick way to end."""
        text = job.envelope_text()
        if text is None or not job.result_ttl:
            return None
        try:
            work = self._processor.open(text, timeout=job.timeout, marks=job.marks)
        except EnvelopeError:
            return None
        return work if work.event.id == job.job_id else None

    def _advance(self, run: _Run, ending: Ending | None) -> None:
        """Make attempts until the pass is over, or waits for one."""
        try:
            attempt = next(run.work.pass_) if ending is None else run.work.pass_.send(ending)
            while (made := self._make(run, attempt)) is not None:
                attempt = run.work.pass_.send(made)
        except StopIteration as end:
            self._end(run, end.value)
        except ForcedStop:
            self._under_way[run.job.job_id] = run
            raise
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001 - such as marks of another type: RQ retries it, the others go on
            self._end_by_rq(run.job, _raising(error))
        self._pace.ran(run.job.lane, self._clock() - run.resumed)

    def _make(self, run: _Run, attempt: Attempt) -> Ending | None:
        """Make the attempt; None when it waits."""
        began = self._clock()
        try:
            if self._invoker is None:
                self._invoke(attempt.handler, attempt.event, attempt.context)
            elif not self._invoker.start(attempt, lambda ending: self._resume(run, ending)):
                self._under_way[run.job.job_id] = run
                self._pace.waits(run.job.lane)
                return None
        except ForcedStop:
            raise
        except BaseException as error:  # noqa: BLE001 - sys.exit() in a handler is that handler's failure, not the worker's
            return error, self._clock() - began
        return None, self._clock() - began

    def _resume(self, run: _Run, ending: Ending) -> None:
        self.current = run.job.job_id
        self.begun += 1
        self._under_way.pop(run.job.job_id)
        self._pace.returned(run.job.lane)
        run.resumed = self._clock()
        self._advance(run, ending)
        self._settle_in_time()

    def _end(self, run: _Run, report: Report) -> None:
        self._processor.tell(run.work, report)
        if report.outcome in (Outcome.PROCESSED, Outcome.DISCARDED):
            with self._lock:
                self._finished_since = self._finished_since if self._finished else self._clock()
                self._finished.append(Finished(run.job, report, run.began, self._wall()))
        else:
            self._end_by_rq(run.job, lambda job: self._processor.end(run.work.event.id, report, job))

    def _end_by_rq(self, job: Taken, call: Call | None) -> bool:
        was_there = self._by_rq(job, call)
        self._held.discard(job.job_id)
        return was_there

    def _settle_in_time(self) -> None:
        if self._finished and self._clock() - self._finished_since > SETTLE:
            self.settle()

    def settle(self) -> None:
        """Write down what has ended."""
        with self._lock:
            if not self._finished:
                return
            left = self._steadily(lambda: self._hands.settle(self._finished, now=self._wall()))
            ended, self._finished = self._finished, []
            self._held.difference_update({one.job.job_id for one in ended} - left)
        for one in ended:
            if one.job.job_id in left:
                self._end_by_rq(one.job, _telling(self._processor, one))

    def give_back(self) -> None:
        """Give back what has not begun."""
        with self._lock:
            if not self._next:
                return
            self._steadily(lambda: self._hands.release(self._next))
            self._held.difference_update(job.job_id for job in self._next)
            self._next.clear()

    def relieve(self) -> None:
        """While a handler holds the engine: give back what waits behind it, and write down what ended before.

        Raises:
            RedisError: Redis did not do it. Nothing is lost: it is done again, by whoever comes first.
        """
        with self._lock:
            if self._next:
                self._hands.release(self._next)
                self._held.difference_update(job.job_id for job in self._next)
                self._next.clear()
            if self._finished:
                left = self._hands.settle(self._finished, now=self._wall())
                self._held.difference_update({one.job.job_id for one in self._finished} - left)
                self._finished = [one for one in self._finished if one.job.job_id in left]

    def _break_off(self) -> None:
        """Put back what has begun as well, uncharged."""
        if self._invoker:
            self._invoker.cancel()
        with self._lock:
            self._next.extendleft(run.job for run in self._under_way.values())
            self._under_way.clear()
        self.settle()
        self.give_back()


def _raising(error: Exception) -> Call:
    def call(_job: Steerable) -> str:
        raise error

    return call


def _telling(processor: Processor, one: Finished) -> Call:
    return lambda job: processor.end(one.job.job_id, one.report, job)
