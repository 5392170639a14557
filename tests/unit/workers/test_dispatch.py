"""Which handlers run in a pass, and what their endings mean: with made-up time, and without Redis."""

from collections.abc import Callable
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from ackfirst import Context, Discard, RetryLater
from ackfirst.shared.nexmo.event import Event
from ackfirst.workers.handlers.filters import Filter
from ackfirst.workers.handlers.handler import Handler
from ackfirst.workers.handlers.verdicts import HandlerTimeout
from ackfirst.workers.processing.dispatch import Clock, Dispatcher
from ackfirst.workers.processing.marks import Mark, State
from ackfirst.workers.processing.outcome import EventEnding
from ackfirst.workers.processing.report import HandlersFailed, Report
from ackfirst.workers.processing.retry import Schedule
from tests.support.events import make_event

EVENT = make_event()
Ending = BaseException | None


class World:
    """A dispatcher whose handlers end as told, each attempt taking ``takes`` seconds."""

    def __init__(self, *, waits: tuple[float, ...] = (5.0, 30.0), takes: float = 1.0) -> None:
        self.now = 1000.0
        self.takes = takes
        self.ran: list[tuple[str, int]] = []
        self.written: list[tuple[str, Mark]] = []
        self.endings: dict[str, Callable[[int], Ending]] = {}
        clock = Clock(wall=lambda: self.now, steady=lambda: self.now)
        schedule = Schedule(waits, random=lambda: 0.5)
        self.dispatcher = Dispatcher(self.invoke, schedule, clock=clock, log=structlog.get_logger)

    def invoke(self, handler: Handler, event: Event, context: Context) -> None:
        self.ran.append((handler.name, context.attempt))
        self.written.append(("run", Mark(State.DONE, 0)))
        self.now += self.takes
        ending = self.endings.get(handler.name, lambda _attempt: None)(context.attempt)
        if ending is not None:
            raise ending

    def dispatch(self, *handlers: Handler, marks: dict[str, Mark] | None = None, budget: float = 100.0) -> Report:
        remember = lambda name, mark: self.written.append((name, mark))  # noqa: E731 - two words for one line
        with structlog.testing.capture_logs():
            return self.dispatcher.dispatch(EVENT, handlers, marks or {}, remember, budget=budget)


def handler(name: str, *, retries: int = 2, timeout: float = 10.0) -> Handler:
    return Handler(name=name, function=print, filters=(Filter(),), timeout=timeout, retries=retries, takes_context=True)


def always(ending: Ending) -> Callable[[int], Ending]:
    return lambda _attempt: ending


def test_an_only_handler_that_succeeds_writes_nothing() -> None:
    world = World()
    report = world.dispatch(handler("a"))
    assert report.ending is EventEnding.PROCESSED
    assert [name for name, _ in world.written] == ["run"]


def test_each_of_several_handlers_is_remembered_before_the_next_one_starts() -> None:
    world = World()
    world.dispatch(handler("a"), handler("b"))
    assert [name for name, _ in world.written] == ["run", "a", "run", "b"]


def test_a_retry_is_remembered_even_for_an_only_handler_and_follows_the_schedule() -> None:
    world = World()
    world.endings["a"] = always(OSError())
    report = world.dispatch(handler("a"))
    assert report.ending is EventEnding.RETRIED
    assert world.written[1:] == [("a", Mark(State.RETRY, 1, 1001 + 5))]
    assert report.next_attempt == 1006
    world.now = 1006.0
    report = world.dispatch(handler("a"), marks={"a": Mark(State.RETRY, 1, 1006.0)})
    assert report.marks["a"] == Mark(State.RETRY, 2, 1007 + 30)


def test_a_handler_that_is_not_due_is_left_alone_but_for_rqs_second() -> None:
    world = World()
    marks = {"a": Mark(State.RETRY, 1, 1000.9), "b": Mark(State.RETRY, 1, 1600.0)}
    report = world.dispatch(handler("a"), handler("b"), marks=marks)
    assert world.ran == [("a", 2)]
    assert report.ending is EventEnding.RETRIED
    assert report.next_attempt == 1600


@pytest.mark.parametrize("state", [State.DONE, State.DISCARDED, State.DEAD])
def test_what_is_over_does_not_run_again(state: State) -> None:
    world = World()
    world.dispatch(handler("a"), marks={"a": Mark(state, 1)})
    assert world.ran == []


def test_after_its_last_retry_a_handler_is_dead() -> None:
    world = World()
    world.endings["a"] = always(OSError("down"))
    report = world.dispatch(handler("a"), marks={"a": Mark(State.RETRY, 2)})
    assert report.ending is EventEnding.DEAD
    assert report.unsettled == ["a"]
    failure = report.failure()
    assert isinstance(failure, HandlersFailed)
    assert str(failure) == "a: OSError: down"
    assert isinstance(failure.__cause__, OSError)


def test_retry_later_sets_the_time_but_not_the_number_of_attempts() -> None:
    world = World()
    world.endings["a"] = always(RetryLater(77.2))
    assert world.dispatch(handler("a")).next_attempt == 1001 + 78
    assert world.dispatch(handler("a", retries=0)).ending is EventEnding.DEAD


def test_only_discards_make_a_discarded_event() -> None:
    world = World()
    world.endings["a"] = always(Discard())
    assert world.dispatch(handler("a")).ending is EventEnding.DISCARDED
    assert world.dispatch(handler("a"), handler("b")).ending is EventEnding.PROCESSED


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt(), HandlerTimeout(3), GeneratorExit()])
def test_whatever_a_handler_raises_is_its_own_failure(error: BaseException) -> None:
    world = World()
    world.endings["a"] = always(error)
    report = world.dispatch(handler("a"), handler("b"))
    assert report.states == {"a": "retry", "b": "done"}


def test_an_attempt_that_does_not_fit_into_the_rest_of_the_time_waits_uncharged() -> None:
    world = World(takes=6.0)
    marks = {"c": Mark(State.RETRY, 1, 990.0)}
    report = world.dispatch(handler("a", timeout=20), handler("b"), handler("c"), marks=marks, budget=15)
    assert world.ran == [("a", 1)], "the first runs in any case"
    assert report.states == {"a": "done", "b": "waiting", "c": "retry"}
    assert report.marks["c"] == Mark(State.RETRY, 1)
    assert report.next_attempt == 0


def test_an_event_that_no_handler_matches_is_unhandled() -> None:
    report = World().dispatch()
    assert (report.ending, report.attempt, report.states) == (EventEnding.UNHANDLED, 1, {})


_ENDINGS: Any = st.sampled_from([None, OSError(), Discard(), RetryLater(3), SystemExit()])


@settings(deadline=None)
@given(
    endings=st.lists(st.lists(_ENDINGS, min_size=1, max_size=6), min_size=1, max_size=4),
    retries=st.integers(0, 4),
    budget=st.floats(0.5, 30),
)
def test_passes_come_to_an_end_and_every_handler_ends_for_good(
    endings: list[list[Ending]], retries: int, budget: float
) -> None:
    world = World()
    handlers = [handler(f"h{number}", retries=retries) for number in range(len(endings))]
    for one, sequence in zip(handlers, endings, strict=True):
        world.endings[one.name] = lambda attempt, sequence=sequence: sequence[min(attempt, len(sequence)) - 1]  # type: ignore[misc]
    marks: dict[str, Mark] = {}
    for _ in range(1 + len(handlers) * (retries + 1)):
        report = world.dispatch(*handlers, marks=marks, budget=budget)
        marks = {name: mark for name, mark in report.marks.items() if mark}
        world.now = max(world.now, report.next_attempt)
        if report.ending is not EventEnding.RETRIED:
            break
    assert report.ending is not EventEnding.RETRIED
    assert len(world.ran) == len(set(world.ran)), "no attempt is made twice"
    for one, sequence in zip(handlers, endings, strict=True):
        made = [attempt for name, attempt in world.ran if name == one.name]
        assert made == list(range(1, len(made) + 1))
        assert len(made) <= retries + 1
        ended_well = any(ending is None or isinstance(ending, Discard) for ending in _met(sequence, retries))
        assert marks[one.name].is_settled is ended_well


def _met(sequence: list[Ending], retries: int) -> list[Ending]:
    """How the attempts end that the budget of retries allows."""
    return [sequence[min(attempt, len(sequence) - 1)] for attempt in range(retries + 1)]
