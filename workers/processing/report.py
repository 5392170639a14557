"""Sum up one pass of an event over its handlers."""

import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Final

from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.queue.failed_result import failures_in
from ackfirst.shared.queue.record import UNWANTED
from ackfirst.shared.record import named_record
from ackfirst.workers.processing.marks import Mark, State
from ackfirst.workers.processing.outcome import EventEnding, HandlerOutcome, Outcome, text_of
from ackfirst.workers.replies import printable

#: State in the log of a handler without a mark: its turn has not come.
WAITING: Final = "waiting"
#: Error of a dead handler that a replay has not run, when RQ does not have the old one any more.
LEFT_OUT: Final = "LeftOut: the replay has not run it again"
#: Characters that an error may add to the message that RQ shows; its traceback says the rest.
LONGEST: Final = 500


class HandlersFailed(Exception):  # noqa: N818 - what RQ shows of the job, read as a sentence
    """Not every handler of the event is finished: the job is retried, or has become a dead letter."""


@named_record
class Report:
    """The states of all handlers that match an event, after a pass."""

    marks: Mapping[str, Mark | None]
    """Handler → mark; None where the time of the job did not suffice for its attempt."""
    errors: Mapping[str, BaseException]
    """Handler → what ended its attempt in this pass, if that was no success."""
    ran: Sequence[HandlerOutcome] = ()
    """The attempts of this pass, in order."""
    keeps: EventEnding | None = None
    """The ending that the event keeps, because no handler that its replay names matches it; None for other passes."""
    ending: EventEnding = field(init=False)
    """A retry outweighs a dead handler, a dead handler outweighs the finished ones."""

    def __post_init__(self) -> None:
        self.ending = self._ending()  # type: ignore[misc]  # made once: it is asked for many times

    def _ending(self) -> EventEnding:
        if self.keeps is not None:
            return self.keeps
        if not self.marks:
            return EventEnding.UNHANDLED
        states = {mark.state if mark else None for mark in self.marks.values()}
        if None in states or State.RETRY in states:
            return EventEnding.RETRIED
        if State.DEAD in states:
            return EventEnding.DEAD
        return EventEnding.DISCARDED if states == {State.DISCARDED} else EventEnding.PROCESSED

    @property
    def next_attempt(self) -> float:
        """Unix seconds at which the first handler wants its retry; 0 for at once."""
        return min((mark.not_before if mark else 0.0 for mark in unfinished(self.marks.values())), default=0.0)

    @property
    def attempt(self) -> int:
        """The highest attempt that any handler has come to; 1 for an event that no handler matches."""
        return max((mark.attempts for mark in self.marks.values() if mark), default=1)

    @property
    def states(self) -> dict[str, str]:
        """Handler → state, for the log."""
        return {name: mark.state.value if mark else WAITING for name, mark in self.marks.items()}

    @property
    def unsettled(self) -> list[str]:
        """Handlers that a requeue of the dead letter runs again."""
        return [name for name, mark in self.marks.items() if mark is None or not mark.is_settled]

    def outcome(self, event: Event, *, lane: str, worker: str, ended: float, replay: str | None = None) -> Outcome:
        """Make the outcome of the pass; ``ended`` in Unix seconds."""
        return Outcome(
            event_id=event.id,
            lane=lane,
            ending=self.ending,
            worker=worker,
            ended=ended,
            handlers=self.ran,
            event=event,
            attempt=self.attempt,
            states=self.states,
            replay=replay,
            reason=None if self.keeps is None else UNWANTED,
        )

    @property
    def left_out(self) -> list[str]:
        """Dead handlers that this pass has not run: their errors are those of an earlier one."""
        ran = {*self.errors, *(one.handler for one in self.ran)}
        return [name for name, mark in self.marks.items() if mark and mark.state is State.DEAD and name not in ran]

    def failure(self, before: str | None = None) -> HandlersFailed:
        """Make the exception that ends the job, chained to that of the first failed handler.

        ``before`` is given at the end of a replay, where it left handlers out: the traceback of the dead letter before
        the replay, which has their errors; empty if RQ does not have it any more.
        """
        unsettled = self.unsettled
        failures = {name: error for name, error in self.errors.items() if name in unsettled}
        known = failures_in(before or "")
        failed = [f"{name}: {_text_of(error)}" for name, error in failures.items()]
        if before is not None:
            failed += [f"{name}: {known.get(name, LEFT_OUT)[:LONGEST]}" for name in self.left_out]
        said = "; ".join(failed) or (f"not finished: {', '.join(unsettled)}" if unsettled else known.get("", UNWANTED))
        failure = HandlersFailed(said)
        failure.__cause__ = next(map(_storable, failures.values()), HandlersFailed(before) if before else None)
        return failure


def unfinished(marks: Iterable[Mark | None]) -> list[Mark | None]:
    """Return the marks of handlers that are still to run."""
    return [mark for mark in marks if mark is None or mark.state is State.RETRY]


def _text_of(error: BaseException) -> str:
    return printable(f"{type(error).__name__}: {text_of(error)[:LONGEST]}")[:LONGEST]


def _storable(error: BaseException) -> BaseException:
    """Return the error, or its traceback as text where UTF-8 cannot hold it: RQ ends its worker then (rq/results.py).

    An event's text with a lone surrogate in the message of an exception is enough.
    """
    text = "".join(traceback.format_exception(error))
    return error if printable(text) == text else HandlersFailed(printable(text))
