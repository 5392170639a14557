"""Waiting for signals in the main thread."""

import os
import signal
import subprocess
import time

import pytest

from ackfirst.shared.processes.signals import SignalInbox


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_is_counted_and_ends_the_wait(signum: signal.Signals) -> None:
    with SignalInbox() as inbox:
        os.kill(os.getpid(), signum)
        inbox.wait(30)
        os.kill(os.getpid(), signum)
        inbox.wait(30)

        assert inbox.stop_requests == 2


def test_a_signal_that_came_before_the_wait_is_not_missed() -> None:
    with SignalInbox() as inbox:
        signal.raise_signal(signal.SIGTERM)
        began = time.monotonic()
        inbox.wait(30)

        assert time.monotonic() - began < 10


def test_the_end_of_a_child_ends_the_wait_without_being_a_stop_request() -> None:
    with SignalInbox() as inbox:
        with subprocess.Popen(["true"]) as ended:
            inbox.wait(30)

        assert ended.wait() == 0
        assert inbox.stop_requests == 0


def test_the_wait_ends_by_itself_after_its_time() -> None:
    with SignalInbox() as inbox:
        began = time.monotonic()
        inbox.wait(0.05)

        assert time.monotonic() - began >= 0.05


def test_handlers_are_put_back() -> None:
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = [signal.getsignal(signum) for signum in signals]
    with SignalInbox():
        assert [signal.getsignal(signum) for signum in signals] != before

    assert [signal.getsignal(signum) for signum in signals] == before
    assert signal.set_wakeup_fd(-1) == -1
