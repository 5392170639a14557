"""Process one job from its text to its end, the same under our worker and a stock RQ worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from redis import Redis

from ackfirst.shared.errors import EnvelopeError
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.parse import parse
from ackfirst.shared.replay.job_field import JobReplay
from ackfirst.workers.handlers.registry import Registry
from ackfirst.workers.processing.dispatch import Clock, Dispatcher, Pass, Remember, sparing
from ackfirst.workers.processing.marks import Mark, RedisMarks
from ackfirst.workers.processing.outcome import EventEnding, Outcome, OutcomeSink, error_message
from ackfirst.workers.processing.report import Report
from ackfirst.workers.processing.retry import RetryableJob, fail_permanently, schedule_retry, whole_seconds
from ackfirst.workers.unavailable import Retry

#: Share of a job's time that handlers get; the rest is for Redis and RQ.
HANDLERS_SHARE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Work:
    """A pass that has begun."""

    envelope: Envelope
    event: Event
    pass_: Pass
    notes: RedisMarks
    fresh: dict[str, Mark]
    """Handler → mark that the pass has made and that is not in Redis yet."""
    replay: JobReplay | None = None
    """The replay that runs the event again."""


class TimedJob(RetryableJob, Protocol):
    """The part of ``rq.job.Job`` that this module uses."""

    id: str
    origin: str
    """The name of its RQ queue."""
    worker_name: str | None
    """The RQ worker that runs it."""

    @property
    def timeout(self) -> float | None:
        """Seconds that the whole job may take."""


class Processor:
    """Processes jobs; made once per process."""

    def __init__(
        self,
        *,
        registry: Registry,
        dispatcher: Dispatcher,
        redis: Redis,
        keep: int,
        job_timeout: int,
        clock: Clock,
        retry: Retry,
        sink: OutcomeSink,
    ) -> None:
        """``keep`` seconds is how long marks outlive their event; ``job_timeout`` seconds is for jobs without one."""
        self._registry = registry
        self._dispatcher = dispatcher
        self._redis = redis
        self._keep = keep
        self._job_timeout = job_timeout
        self._clock = clock
        self._retry = retry
        self._sink = sink

    def process(self, text: str, job: TimedJob) -> str:
        """Run the handlers that are due for the envelope ``text``.

        Returns:
            ``processed``, ``unhandled`` or ``discarded``.

        Raises:
            HandlersFailed: Not all handlers are finished; ``job`` then says whether RQ retries it and when.
            EnvelopeError: The text cannot be read: the job becomes a dead letter.
        """
        try:
            work = self.open(text, timeout=job.timeout)
        except EnvelopeError as error:
            fail_permanently(job)
            self.record([self.unreadable(job, error)])
            raise
        report = self._dispatcher.drive(work.pass_)
        try:
            return self.end(work, report, job)
        finally:
            self.record([self.outcome(work, report, worker=job.worker_name or "")])

    def open(
        self,
        text: str,
        *,
        timeout: float | None,
        marks: Mapping[str, Mark] | None = None,
        replay: JobReplay | None = None,
    ) -> "Work":
        """Begin a pass of the envelope ``text``.

        Args:
            text: The envelope.
            timeout: Seconds that the whole job may take, if it says so.
            marks: Marks of earlier passes, for a caller that writes the fresh ones itself; None to read them from
                Redis, and to write each fresh one there.
            replay: The replay that has queued the job; read from Redis if the marks are.

        Raises:
            EnvelopeError: The text cannot be read.
        """
        envelope = Envelope.decode(text)
        event = parse(envelope)
        handlers = self._registry.matching(event)
        notes = RedisMarks(self._redis, event.id, keep=self._keep, now=self._clock.wall)
        fresh: dict[str, Mark] = {}
        are_read = marks is None
        if marks is None:
            marks = self._retry(notes.read)
            replay = JobReplay.decode(self._retry(lambda: self._redis.hget(keys.job(event.id), keys.REPLAY)))
        else:
            notes.know(marks)
        if replay is not None:
            # A dead handler that is not to run stays in the report with its mark: the event remains a dead letter.
            handlers = tuple(one for one in handlers if replay.runs(one.name) or one.name in marks)
        remember: Remember = fresh.__setitem__
        if are_read:
            remember = sparing(handlers, lambda handler, mark: self._retry(lambda: notes.write({handler: mark})))
        budget = HANDLERS_SHARE * (timeout or self._job_timeout)
        pass_ = self._dispatcher.steps(event, handlers, marks, remember, budget=budget, replay=replay)
        return Work(envelope, event, pass_, notes, fresh, replay)

    def write_marks(self, works: Sequence["Work"]) -> None:
        """Write the fresh marks of passes, in one round trip."""
        with self._redis.pipeline() as pipeline:
            for work in works:
                if work.fresh:
                    work.notes.write(work.fresh, pipeline)
            pipeline.execute()
        for work in works:
            work.fresh.clear()

    def outcome(self, work: "Work", report: Report, *, worker: str) -> Outcome:
        """Make the outcome of a pass that ends now."""
        replay = work.replay.id if work.replay else None
        return report.outcome(
            work.event, lane=work.envelope.lane, worker=worker, ended=self._clock.wall(), replay=replay
        )

    def unreadable(self, job: TimedJob, error: EnvelopeError) -> Outcome:
        """Make the outcome of a job whose envelope cannot be read."""
        return Outcome(
            event_id=job.id,
            lane=job.origin.removeprefix(keys.LANE_PREFIX),
            ending=EventEnding.DEAD,
            ended=self._clock.wall(),
            worker=job.worker_name or "",
            reason=error_message(error),
        )

    def record(self, batch: Sequence[Outcome]) -> None:
        """Write outcomes to the sink, as soon as Redis takes them."""
        self._retry(lambda: self._sink.write(batch))

    def end(self, work: "Work", report: Report, job: RetryableJob) -> str:
        """Settle the marks of the pass, and end the job as ``process`` does."""
        if report.ending is not EventEnding.RETRIED:
            dead = report.unsettled if report.ending is EventEnding.DEAD else None
            self._retry(lambda: work.notes.settle(dead=dead, is_replay=work.replay is not None))
        match report.ending:
            case EventEnding.RETRIED:
                schedule_retry(job, whole_seconds(report.next_attempt - self._clock.wall()))
                raise report.failure()
            case EventEnding.DEAD:
                fail_permanently(job)
                has_left_out = work.replay is not None and (report.left_out or report.keeps is not None)
                raise report.failure(self._retry(work.notes.read_failure) if has_left_out else None)
            case ending:
                return ending.value
