"""Runs what an engine holds: plain handlers one after the other, async ones at once, and writes the ends in batches."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from ackfirst.shared.errors import EnvelopeError
from ackfirst.workers.engine.holding import Holding
from ackfirst.workers.engine.in_flight import Finished
from ackfirst.workers.engine.journal import Journal
from ackfirst.workers.engine.pace import Pace
from ackfirst.workers.engine.taken import Taken
from ackfirst.workers.handlers.invoke import Invoker
from ackfirst.workers.handlers.verdicts import ForcedStop
from ackfirst.workers.processing.dispatch import Attempt, AttemptResult, Invoke
from ackfirst.workers.processing.outcome import EventEnding
from ackfirst.workers.processing.processor import Processor, Work
from ackfirst.workers.processing.report import Report
from ackfirst.workers.processing.retry import RetryableJob
from ackfirst.workers.redis_retry import OUTAGES

#: Seconds for which async handlers go on before new jobs are looked for.
PUMP: Final = 0.005
#: Seconds after which a job in hand is asked for again in Redis before it runs: the engine was frozen meanwhile.
STALE: Final = 3.0

#: Outcomes that end a job as one that succeeded.
_WELL: Final = frozenset({EventEnding.PROCESSED, EventEnding.UNHANDLED, EventEnding.DISCARDED})

#: What RQ is to run as a job's function.
Call = Callable[[RetryableJob], str]


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
    """From taken jobs to settled ones."""

    def __init__(
        self,
        processor: Processor,
        invoke: Invoke,
        holding: Holding,
        journal: Journal,
        *,
        pace: Pace,
        by_rq: ByRq,
        stops: Callable[[], bool],
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``stops`` says whether nothing new is to begin; ``wall`` Unix seconds, ``clock`` monotonic ones."""
        self._processor = processor
        self._invoke = invoke
        self._invoker = invoke if isinstance(invoke, Invoker) else None
        self._holding = holding
        self._journal = journal
        self._pace = pace
        self._by_rq = by_rq
        self._stops = stops
        self._wall = wall
        self._clock = clock
        self._under_way: dict[str, _Run] = {}
        self.current: str | None = None
        """Id of the job that holds the engine."""
        self.begun = 0
        """How often a job has begun to hold it."""
        self.started = 0
        """How many jobs were run."""
        self.is_broken_off = False
        """Whether the operator has broken off what ran."""
        self.busy = threading.Event()
        """Set while ``run`` is at work."""

    def run(self) -> None:
        """Run what stands in the line, let async handlers go on for a moment, and write down what has ended."""
        self.busy.set()
        if self._invoker:
            self._invoker.listen()
        try:
            while not self._stops() and (job := self._holding.next()) is not None:
                self._start(job)
                self._settle_in_time()
            self.current = None
            if self._invoker:
                self._invoker.pump(PUMP)
            if not self._holding.is_ahead or self._holding.owes_rq:
                self.settle()
        except ForcedStop:
            self._break_off()
        finally:
            self.current = None
            self.busy.clear()

    def _start(self, job: Taken) -> None:
        self.current = job.job_id
        self.begun += 1
        began = self._clock()
        if began - job.at > STALE and not self._holding.still_has(job):
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

    def _advance(self, run: _Run, ending: AttemptResult | None) -> None:
        """Make attempts until the pass is over, or waits for one."""
        try:
            report = self._go_on(run, ending)
            if report is not None and report.ending not in _WELL:
                self._processor.write_down(run.work)
        except ForcedStop:
            self._under_way[run.job.job_id] = run
            raise
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001 - such as marks of another type: RQ retries it, the others go on
            self._end_by_rq(run.job, _raising(error))
        else:
            if report is not None:
                self._end(run, report)
        self._pace.ran(run.job.lane, self._clock() - run.resumed)

    def _go_on(self, run: _Run, ending: AttemptResult | None) -> Report | None:
        """The report of the pass; None while it waits for an attempt."""
        pass_ = run.work.pass_
        try:
            attempt = next(pass_) if ending is None else pass_.send(ending)
            while True:
                self._note(run, is_over=False)
                made = self._make(run, attempt)
                if made is None:
                    return None
                attempt = pass_.send(made)
        except StopIteration as end:
            self._note(run, is_over=True)
            report: Report = end.value
            return report

    def _note(self, run: _Run, *, is_over: bool) -> None:
        if run.work.fresh:
            keep = run.work.notes.seconds(run.work.fresh)
            self._journal.note(run.job, run.work.fresh, is_over=is_over, keep=keep)

    def _make(self, run: _Run, attempt: Attempt) -> AttemptResult | None:
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
            return AttemptResult(error, self._clock() - began)
        return AttemptResult(None, self._clock() - began)

    def _resume(self, run: _Run, ending: AttemptResult) -> None:
        self.current = run.job.job_id
        self.begun += 1
        self._under_way.pop(run.job.job_id)
        self._pace.returned(run.job.lane)
        run.resumed = self._clock()
        self._advance(run, ending)
        self._settle_in_time()

    def _end(self, run: _Run, report: Report) -> None:
        self._processor.record([self._processor.outcome(run.work, report, worker="")])
        if report.ending in _WELL:
            self._holding.finish(Finished(run.job, run.work, report, run.began, self._wall()))
        else:
            self._end_by_rq(run.job, lambda job: self._processor.end(run.work, report, job))

    def _end_by_rq(self, job: Taken, call: Call | None) -> bool:
        was_there = self._by_rq(job, call)
        self._holding.lose(job)
        return was_there

    def _settle_in_time(self) -> None:
        if self._holding.is_settling_due:
            self.settle()

    def settle(self) -> None:
        """Write down what has ended."""
        for one in self._holding.settle():
            self._end_by_rq(one.job, _telling(self._processor, one))

    def _break_off(self) -> None:
        """Put back what has begun as well, uncharged."""
        self.is_broken_off = True
        if self._invoker:
            self._invoker.cancel()
        for run in self._under_way.values():
            self._processor.write_down(run.work)
        self._holding.put_back(run.job for run in self._under_way.values())
        self._under_way.clear()
        self.settle()
        self._holding.give_back()


def _raising(error: Exception) -> Call:
    def call(_job: RetryableJob) -> str:
        raise error

    return call


def _telling(processor: Processor, one: Finished) -> Call:
    return lambda job: processor.end(one.work, one.report, job)
