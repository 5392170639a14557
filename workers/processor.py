"""One job from its text to its end: the road that every event takes, whichever RQ worker carries it."""

from typing import TYPE_CHECKING, Final, Protocol

from redis import Redis

from shared.envelope import Envelope
from shared.errors import EnvelopeError
from shared.nexmo.event import Event
from workers import steering
from workers.dispatch import Clock, Dispatcher
from workers.marks import RedisMarks
from workers.parse import parse
from workers.patience import Steadily
from workers.registry import Registry
from workers.report import Outcome, Report
from workers.retry import whole_seconds
from workers.steering import Steerable
from workers.tally import Tally
from workers.verdicts import ForcedStop

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Share of a job's time that handlers get; the rest is for Redis and RQ.
HANDLERS_SHARE: Final = 0.9


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
            envelope = Envelope.decode(text)
            event = parse(envelope)
        except EnvelopeError:
            steering.never_again(job)
            raise
        report = self._run(event, job)
        self._steadily(lambda: self._tally.record(event.id, report))
        self._tell(envelope, event, report)
        return self._end(report, job)

    def _run(self, event: Event, job: TimedJob) -> Report:
        marks = RedisMarks(self._redis, event.id, keep=self._keep, now=self._clock.wall)
        try:
            return self._dispatcher.dispatch(
                event,
                self._registry.matching(event),
                self._steadily(marks.read),
                lambda handler, mark: self._steadily(lambda: marks.write(handler, mark)),
                budget=HANDLERS_SHARE * (job.timeout or self._job_timeout),
            )
        except ForcedStop:
            steering.again(job, 0)
            raise

    def _end(self, report: Report, job: TimedJob) -> str:
        match report.outcome:
            case Outcome.RETRIED:
                steering.again(job, whole_seconds(report.next_attempt - self._clock.wall()))
                raise report.failure()
            case Outcome.DEAD:
                steering.never_again(job)
                raise report.failure()
            case outcome:
                return outcome.value

    def _tell(self, envelope: Envelope, event: Event, report: Report) -> None:
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
