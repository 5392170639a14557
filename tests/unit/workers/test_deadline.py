"""The alarm that ends what does not end by itself."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from ackfirst.workers.handlers.deadline import ThreadDeadline, within
from ackfirst.workers.handlers.verdicts import HandlerTimeout


@pytest.fixture(autouse=True)
def no_other_alarm() -> Iterator[None]:
    """The time limit of the test run is an alarm too; it goes on afterwards."""
    left, again = signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    signal.setitimer(signal.ITIMER_REAL, left, again)


def test_what_ends_in_time_returns_its_value_and_leaves_no_alarm() -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert within(5, lambda: 7) == 7
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_what_takes_longer_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(HandlerTimeout, match=r"0\.05 s"):
        within(0.05, lambda: time.sleep(10))
    assert time.monotonic() - began < 5
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_errors_pass_through() -> None:
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


def test_an_alarm_that_was_running_goes_on_with_the_time_that_it_has_left() -> None:
    rung: list[float] = []

    def ring(_signum: int, _frame: FrameType | None) -> None:
        rung.append(time.monotonic())

    former = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 60)
        within(5, lambda: time.sleep(0.05))
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 50 < left < 60
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        within(5, lambda: time.sleep(0.1))
        time.sleep(0.1)
        assert rung, "it was due meanwhile, and rings afterwards"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def test_another_thread_runs_without_a_limit() -> None:
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(within(0.01, lambda: 7)))
    thread.start()
    thread.join()
    assert results == [7]


def test_a_call_in_a_thread_is_ended_between_two_instructions() -> None:
    deadline = ThreadDeadline()

    def spin() -> None:
        while True:
            deadline.expire(time.monotonic() + 10)  # as the monitor would, ten seconds from now

    error, returned = deadline.run(5.0, spin)
    assert isinstance(error, HandlerTimeout)
    assert error.seconds == 5.0
    assert returned is None


def test_what_ends_in_time_is_not_struck_afterwards() -> None:
    deadline = ThreadDeadline()
    error, returned = deadline.run(5.0, lambda: "done")
    deadline.expire(time.monotonic() + 10)
    assert (error, returned) == (None, "done")
    assert sum(range(10_000)) == 49_995_000, "nothing is raised here"


def test_a_deadline_that_passes_in_the_moment_of_the_end_strikes_nothing_else() -> None:
    """A monitor that expires without a pause, and thousands of calls that end at once: each is done, or late."""
    now = [0.0]
    deadline = ThreadDeadline(clock=lambda: now[0])
    closing = threading.Event()

    def expire() -> None:
        while not closing.is_set():
            deadline.expire(1.0)

    monitor = threading.Thread(target=expire)
    monitor.start()
    results: list[tuple[BaseException | None, int]] = []
    try:
        results += [deadline.run(0.5, lambda: sum(range(50))) for _ in range(3000)]
    finally:
        closing.set()
        monitor.join()
    assert {type(error) for error, _ in results} <= {type(None), HandlerTimeout}
    assert all(returned == 1225 for error, returned in results if error is None)


def test_an_exit_in_a_call_is_its_error() -> None:
    error, _ = ThreadDeadline().run(5.0, lambda: sys.exit(3))
    assert isinstance(error, SystemExit)
