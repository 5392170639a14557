"""Time limits for code that does not co-operate: an exception that is raised in the middle of it."""

import ctypes
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, TypeVar

from ackfirst.workers.handlers.verdicts import HandlerTimeout

Result = TypeVar("Result")

#: Seconds after which the exception is raised again, for code that swallowed it with a bare ``except``.
AGAIN_SECONDS: Final = 1.0
#: No deadline: nothing of a user's runs.
NEVER: Final = float("inf")


class _DeadlinePassed(HandlerTimeout):
    """Raised in a thread at its deadline: the interpreter makes the instance, without arguments."""

    def __init__(self) -> None:
        super().__init__(0)


class ThreadDeadline:
    """Runs calls in the thread that made it, and lets a monitor raise ``HandlerTimeout`` in one that is late.

    The exception is asynchronous: the interpreter raises it between two instructions of that thread, some time after
    ``expire`` asked for it. Without a guard it would strike the next job, or our own code. So ``expire`` acts only
    between ``_arm`` and ``_disarm``, under a lock, and ``_disarm`` takes back what was asked for and not yet raised.
    A call into C, such as ``time.sleep``, is not interrupted: the exception comes when it returns.

    ``publish`` hears the deadline before each call and ``NEVER`` after it.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, publish: Callable[[float], None] = lambda _: None
    ) -> None:
        self._clock = clock
        self._publish = publish
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._next = NEVER
        self._is_pending = False
        self.deadline = NEVER
        """Monotonic seconds at which the call that runs should have ended."""

    def run(self, seconds: float, call: Callable[[], Any]) -> tuple[BaseException | None, Any]:
        """Run ``call`` within ``seconds``; what it raised, or None, and what it returned."""
        error: BaseException | None = None
        returned: Any = None
        has_returned = False
        try:
            try:
                self._arm(seconds)
                returned = call()
                has_returned = True
            except BaseException as raised:  # noqa: BLE001 - sys.exit() in a handler is that handler's failure
                error = raised
            self._disarm()
        except _DeadlinePassed as late:
            # It struck between the end of the call and the end of ``_disarm``. It can do so once: the next one is not
            # asked for before ``AGAIN_SECONDS`` have passed.
            self._disarm()
            if not has_returned and error is None:
                error = late
        if isinstance(error, _DeadlinePassed):
            error = HandlerTimeout(seconds).with_traceback(error.__traceback__)
        return error, returned

    def expire(self, now: float) -> None:
        """Raise ``HandlerTimeout`` in the call that runs, if it is late. For the monitor's thread."""
        with self._lock:
            if now >= self._next:
                self._next = now + AGAIN_SECONDS
                self._is_pending = True
                _raise_in(self._thread, _DeadlinePassed)

    def _arm(self, seconds: float) -> None:
        with self._lock:
            self.deadline = self._next = self._clock() + seconds
            self._publish(self.deadline)

    def _disarm(self) -> None:
        with self._lock:
            self.deadline = self._next = NEVER
            self._publish(NEVER)
            if self._is_pending:
                _raise_in(self._thread, None)
                self._is_pending = False


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Ask the interpreter to raise ``error`` in ``thread``; None takes back what it was asked for."""
    wanted = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), wanted)


def raise_timeout_in(thread: int) -> None:
    """Raise ``HandlerTimeout`` in ``thread``, whatever it is doing."""
    _raise_in(thread, _DeadlinePassed)


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """Run ``call``, and raise ``HandlerTimeout`` inside it after ``seconds``, by SIGALRM.

    For processes that run one handler at a time in their main thread: a stock RQ worker, a child of ``--isolate``. A
    signal also interrupts calls into C that wait. RQ's own SIGALRM limit, where one is running, is put back afterwards
    with the time that it has left. Signals reach only the main thread; in another thread ``call`` runs without a limit.
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
            signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
            return call()
        finally:
            armed = False
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former_handler)
        if former_left:
            signal.setitimer(signal.ITIMER_REAL, max(former_left - (time.monotonic() - began), 0.001))
