"""Decide which handlers of an event run now, and what their results mean. Pure: no Redis and no RQ."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.record import record
from ackfirst.shared.replay.job_field import JobReplay
from ackfirst.workers.handlers.context import Context
from ackfirst.workers.handlers.handler import Handler
from ackfirst.workers.handlers.verdicts import Discard, RetryLater
from ackfirst.workers.processing.marks import Mark, State
from ackfirst.workers.processing.outcome import EventEnding, HandlerOutcome, error_message, returned_text
from ackfirst.workers.processing.report import Report, unfinished
from ackfirst.workers.processing.retry import Schedule, whole_seconds

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Time by which a handler may be early: RQ keeps the time of a retry in whole seconds, rounded down.
EARLY_SECONDS: Final = 1.0


class Invoke(Protocol):
    """Runs one attempt of a handler; raises what the handler raises."""

    def __call__(self, handler: Handler, event: Event, context: Context) -> object:
        """Return what the handler returns, when the attempt has succeeded."""


@record
class Attempt:
    """A handler that is to be called now."""

    handler: Handler
    event: Event
    context: Context


#: States that an event keeps when a replay has nothing to run.
_KEPT: Final = frozenset({EventEnding.PROCESSED, EventEnding.UNHANDLED, EventEnding.DISCARDED, EventEnding.DEAD})

#: Makes a logger that knows some fields.
LogOf = Callable[..., "FilteringBoundLogger"]

#: Called with each new mark.
Remember = Callable[[str, Mark], None]


@record
class AttemptResult:
    """The result of an attempt."""

    error: BaseException | None
    """What the handler raised; None for success."""
    started: float
    """Unix seconds."""
    seconds: float
    returned: object = None
    """What the handler returned."""


#: A pass of an event over its handlers: yields the attempts to make, receives their results, returns the report. As a
#: generator it serves one event at a time, a hundred async ones at once, and a stock worker.
Pass = Generator[Attempt, AttemptResult, Report]


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, as two functions: ``wall`` in Unix seconds, ``steady`` in seconds for durations."""

    wall: Callable[[], float]
    steady: Callable[[], float]


class Dispatcher:
    """Runs the handlers that are due, each on its own: a failure of one does not affect the others."""

    def __init__(self, invoke: Invoke, schedule: Schedule, *, clock: Clock, log: LogOf) -> None:
        """``log`` makes the logger of an attempt from its fields; it must be quick, because few handlers use it."""
        self._invoke = invoke
        self._schedule = schedule
        self._clock = clock
        self._log = log

    def dispatch(
        self,
        event: Event,
        handlers: Sequence[Handler],
        marks: Mapping[str, Mark],
        remember: Remember,
        *,
        budget: float,
    ) -> Report:
        """Run the due handlers one after the other and report the state of all; arguments as for ``steps``."""
        return self.drive(self.steps(event, handlers, marks, sparing(handlers, remember), budget=budget))

    def drive(self, pass_: Pass) -> Report:
        """Make the attempts that a pass asks for."""
        try:
            attempt = next(pass_)
            while True:
                attempt = pass_.send(self._make(attempt))
        except StopIteration as end:
            report: Report = end.value
            return report

    def _make(self, attempt: Attempt) -> AttemptResult:
        started, began = self._clock.wall(), self._clock.steady()
        try:
            returned = self._invoke(attempt.handler, attempt.event, attempt.context)
        except BaseException as error:  # noqa: BLE001 - sys.exit() in a handler is that handler's failure, not the worker's
            return AttemptResult(error, started, self._clock.steady() - began)
        return AttemptResult(None, started, self._clock.steady() - began, returned)

    def steps(
        self,
        event: Event,
        handlers: Sequence[Handler],
        marks: Mapping[str, Mark],
        remember: Remember,
        *,
        budget: float,
        replay: JobReplay | None = None,
    ) -> Pass:
        """Make a pass, for a caller that makes the attempts itself.

        Args:
            event: For the handlers.
            handlers: All that match the event; those that a replay leaves out are there with their mark or not at all.
            marks: The marks of earlier passes.
            remember: Called with each new mark before the next handler starts.
            budget: Seconds for all together: an attempt whose timeout does not fit into the rest waits for the next
                pass, except the first.
            replay: The replay that runs the event again.
        """
        pass_ = _Marking(marks, remember)
        end = self._clock.steady() + budget
        for handler in handlers:
            if not self._is_due(marks.get(handler.name)):
                pass_.keep(handler)
            elif pass_.ran and self._clock.steady() + handler.timeout > end:
                pass_.postpone(handler)
            else:
                attempts = pass_.attempts(handler) + 1
                attempt = Attempt(handler, event, self._context(handler, event, attempts, replay))
                result = yield attempt
                self._record(pass_, attempt, result)
        is_over = not pass_.ran and not unfinished(pass_.after.values())
        keeps = _kept(handlers, replay) if is_over else None
        return Report(marks=pass_.after, errors=pass_.errors, ran=pass_.ran, keeps=keeps)

    def _is_due(self, mark: Mark | None) -> bool:
        if mark is None:
            return True
        return mark.state is State.RETRY and mark.not_before <= self._clock.wall() + EARLY_SECONDS

    def _record(self, pass_: "_Marking", attempt: Attempt, result: AttemptResult) -> None:
        handler, context, error = attempt.handler, attempt.context, result.error
        mark = self._judge(handler, context.attempt, error)
        pass_.ran.append(
            HandlerOutcome(
                handler=handler.name,
                attempt=context.attempt,
                started=result.started,
                seconds=result.seconds,
                ending=mark.state,
                error_type=None if error is None else type(error).__name__,
                message=None if error is None else error_message(error),
                returned=returned_text(result.returned),
            )
        )
        if error is not None:
            handler.trim_traceback(error)
            pass_.errors[handler.name] = error
            _tell(context.log, mark, error)
        pass_.record(handler, mark)

    def _judge(self, handler: Handler, attempts: int, error: BaseException | None) -> Mark:
        if error is None:
            return Mark(State.DONE, attempts)
        if isinstance(error, Discard):
            return Mark(State.DISCARDED, attempts)
        if attempts > handler.retries:
            return Mark(State.DEAD, attempts)
        wait = error.seconds if isinstance(error, RetryLater) else self._schedule.wait(attempts)
        return Mark(State.RETRY, attempts, self._clock.wall() + whole_seconds(wait))

    def _context(self, handler: Handler, event: Event, attempt: int, replay: JobReplay | None) -> Context:
        key = f"{event.id}:{handler.name}"
        return Context(
            attempt=attempt,
            retries_left=max(0, handler.retries + 1 - attempt),
            handler=handler.name,
            idempotency_key=f"{key}:{replay.id}" if replay and replay.fresh else key,
            log=self._log(event_id=event.id, handler=handler.name, attempt=attempt),
            replay=replay.id if replay else None,
        )


def _kept(handlers: Sequence[Handler], replay: JobReplay | None) -> EventEnding | None:
    """Return the ending that an event keeps when its replay names only handlers that do not match it."""
    if replay is None or replay.handlers is None or any(replay.runs(handler.name) for handler in handlers):
        return None
    return EventEnding(replay.was) if replay.was in _KEPT else None


def sparing(handlers: Sequence[Handler], remember: Remember) -> Remember:
    """Wrap ``remember`` so that the success of an event's only handler is not written: it ends the job at once."""
    if len(handlers) > 1:
        return remember
    return lambda handler, mark: remember(handler, mark) if mark.state is State.RETRY else None


class _Marking:
    """Collects the marks, errors and attempts of one pass."""

    def __init__(self, before: Mapping[str, Mark], remember: Remember) -> None:
        self.after: dict[str, Mark | None] = {}
        self.errors: dict[str, BaseException] = {}
        self.ran: list[HandlerOutcome] = []
        self._before = before
        self._remember = remember

    def attempts(self, handler: Handler) -> int:
        mark = self._before.get(handler.name)
        return mark.attempts if mark else 0

    def keep(self, handler: Handler) -> None:
        self.after[handler.name] = self._before[handler.name]

    def postpone(self, handler: Handler) -> None:
        mark = self._before.get(handler.name)
        self.after[handler.name] = Mark(State.RETRY, mark.attempts) if mark else None

    def record(self, handler: Handler, mark: Mark) -> None:
        self._remember(handler.name, mark)
        self.after[handler.name] = mark


def _tell(log: "FilteringBoundLogger", mark: Mark, error: BaseException) -> None:
    match error:
        case Discard(reason=reason):
            log.info("handler.discarded", reason=reason)
        case RetryLater(reason=reason) if mark.state is State.RETRY:
            log.info("handler.later", reason=reason or None, seconds=error.seconds)
        case _:
            tell = log.warning if mark.state is State.RETRY else log.error
            tell("handler.failed", state=mark.state.value, error=type(error).__name__, exc_info=error)
