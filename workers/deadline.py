"""A time limit for code that does not co-operate: a signal that raises in the middle of it."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final, TypeVar

from workers.verdicts import HandlerTimeout

Result = TypeVar("Result")

#: Seconds after which the alarm rings again, for code that swallowed it with a bare ``except``.
AGAIN: Final = 1.0


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
