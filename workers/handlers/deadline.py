"""A time limit for code that does not co-operate: a signal that raises in the middle of it."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, TypeVar

from ackfirst.workers.handlers.verdicts import HandlerTimeout

Result = TypeVar("Result")

#: Seconds after which the alarm rings again, for code that swallowed it with a bare ``except``.
AGAIN: Final = 1.0


class Alarm:
    """``within`` for one call after the other: the signal's function stays, and is not set anew for each.

    ``listen`` has it set anew where a handler, or a library that it uses, has set another; ``close`` puts back what was
    there. For the main thread.
    """

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._ring = self._on_signal  # one object: to be recognised
        self._former: Any = None
        self._is_set = False

    def listen(self) -> None:
        """Make sure that the signal is heard."""
        if not self._is_set or signal.getsignal(signal.SIGALRM) is not self._ring:
            former = signal.signal(signal.SIGALRM, self._ring)
            self._former = self._former if self._is_set else former
            self._is_set = True

    def close(self) -> None:
        """Put back what was there."""
        if self._is_set:
            signal.signal(signal.SIGALRM, self._former)
            self._is_set = False

    def __call__(self, seconds: float, call: Callable[[], Result]) -> Result:
        """Run ``call``, and raise ``HandlerTimeout`` inside it after ``seconds``."""
        try:  # two blocks, as below
            try:
                self._seconds = seconds
                signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
                return call()
            finally:
                self._seconds = None
        finally:
            self._seconds = None
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        if self._seconds is not None:
            raise HandlerTimeout(self._seconds)


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """Run ``call``, and raise ``HandlerTimeout`` inside it after ``seconds``.

    RQ's own SIGALRM limit, where one is running, is put back afterwards with the time that it has left. Signals reach
    only the main thread; in another thread ``call`` runs without a limit.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    armed = True

    def ring(_signum: int, _frame: FrameType | None) -> None:
        if armed:
            raise HandlerTimeout(seconds)

    former_handler = signal.getsignal(signal.SIGALRM)
    began = time.monotonic()
    former_left, _ = signal.getitimer(signal.ITIMER_REAL)
    # Two blocks: should the alarm ring in the inner ``finally``, the outer one still puts everything back.
    try:
        try:
            signal.signal(signal.SIGALRM, ring)
            signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
            return call()
        finally:
            armed = False
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former_handler)
        if former_left:
            signal.setitimer(signal.ITIMER_REAL, max(former_left - (time.monotonic() - began), 0.001))
