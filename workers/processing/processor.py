"""One job from its text to its end: the road that every event takes, whichever RQ worker carries it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from redis import Redis

from ackfirst.shared.errors import EnvelopeError
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.workers.handlers.registry import Registry
from ackfirst.workers.handlers.verdicts import ForcedStop
from ackfirst.workers.patience import Steadily
from ackfirst.workers.processing import steering
from ackfirst.workers.processing.dispatch import Clock, Dispatcher, Pass, Remember, sparing
from ackfirst.workers.processing.marks import Mark, RedisMarks
from ackfirst.workers.processing.parse import parse
from ackfirst.workers.processing.report import Outcome, Report
from ackfirst.workers.processing.retry import whole_seconds
from ackfirst.workers.processing.steering import Steerable
from ackfirst.workers.processing.tally import Tally

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

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
    """Handler → mark that the pass has made and nobody has written down."""


class TimedJob(Steerable, Protocol):
    """The part of ``rq.job.Job`` that this module uses."""

    @property
    def timeout(self) -> float | None:
        """Seconds that the whole job may take."""


class Processor:
    """Everything that processing needs, put together once per process."""

    def __init__(
        self,
        *,
        registry: Registry,
        dispatcher: Dispatcher,
        redis: Redis,
        keep: int,
        job_timeout: int,
        clock: Clock,
        steadily: Steadily,
        log: "FilteringBoundLogger",
    ) -> None:
        """``keep`` seconds is how long marks outlive their event; ``job_timeout`` seconds is for jobs without one."""
        self._registry = registry
        self._dispatcher = dispatcher
        self._redis = redis
        self._tally = Tally(redis, keep=keep)
        self._keep = keep
        self._job_timeout = job_timeout
        self._clock = clock
        self._steadily = steadily
        self._log = log

    def process(self, text: str, job: TimedJob) -> str:
        """Run the handlers that are due for the envelope ``text``.

        Returns:
            ``processed`` or ``discarded``.

        Raises:
            HandlersFailed: Not all handlers are finished; ``job`` then says whether RQ retries it and when.
            EnvelopeError: The text cannot be read: the job becomes a dead letter.
        """
        try:
            work = self.open(text, timeout=job.timeout)
        except EnvelopeError:
            steering.never_again(job)
            raise
        try:
            report = self._dispatcher.drive(work.pass_)
        except ForcedStop:
            steering.again(job, 0)
            raise
        self.tell(work, report)
        return self.end(work.event.id, report, job)

    def open(self, text: str, *, timeout: float | None, marks: Mapping[str, Mark] | None = None) -> "Work":
        """Begin a pass of the envelope ``text``.

        Args:
            text: The envelope.
            timeout: Seconds that the whole job may take, if it says so.
            marks: What is known of earlier passes, to whoever sees to the fresh ones; None to ask Redis for them, and
                to write each fresh one there.

        Raises:
            EnvelopeError: The text cannot be read.
        """
        envelope = Envelope.decode(text)
        event = parse(envelope)
        handlers = self._registry.matching(event)
        notes = RedisMarks(self._redis, event.id, keep=self._keep, now=self._clock.wall)
        fresh: dict[str, Mark] = {}
        remember: Remember = fresh.__setitem__
        if marks is None:
            marks = self._steadily(notes.read)
            remember = sparing(handlers, lambda handler, mark: self._steadily(lambda: notes.write({handler: mark})))
        else:
            notes.know(marks)
        budget = HANDLERS_SHARE * (timeout or self._job_timeout)
        return Work(
            envelope, event, self._dispatcher.steps(event, handlers, marks, remember, budget=budget), notes, fresh
        )

    def write_down(self, work: "Work") -> None:
        """Write the fresh marks of a pass."""
        if work.fresh:
            self._steadily(lambda: work.notes.write(work.fresh))

    def end(self, event_id: str, report: Report, job: Steerable) -> str:
        """Count what came of the pass, and end the job as ``process`` does."""
        self._steadily(lambda: self._tally.record(event_id, report))
        return self._end(report, job)

    def _end(self, report: Report, job: Steerable) -> str:
        match report.outcome:
            case Outcome.RETRIED:
                steering.again(job, whole_seconds(report.next_attempt - self._clock.wall()))
                raise report.failure()
            case Outcome.DEAD:
                steering.never_again(job)
                raise report.failure()
            case outcome:
                return outcome.value

    def tell(self, work: "Work", report: Report) -> None:
        """Log the one line of the event."""
        event, envelope = work.event, work.envelope
        self._log.info(
            "event.processed",
            event_id=event.id,
            family=event.family,
            channel=event.channel,
            status=event.status,
            message_id=event.message_id,
            lane=envelope.lane,
            outcome=report.outcome.value,
            attempt=report.attempt,
            handlers=report.states,
            seconds=round(sum(report.seconds.values()), 6),
            waited_seconds=round(self._clock.wall() - envelope.received_at, 3),
        )
