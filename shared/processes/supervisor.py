"""Keep child processes running: start them, restart those that end, stop them in order.

Every process of ``ackfirst dev`` and of ``--processes N`` has such a supervisor.
"""

import contextlib
import ctypes
import functools
import os
import signal
import sys
import time
from collections.abc import Container, Iterable, Sequence
from typing import Any, Final, Protocol

from ackfirst.shared.processes.child import Backoff, Child, ChildRun
from ackfirst.shared.processes.signals import SignalInbox

#: Exit code of a command whose configuration is wrong: another start would end the same way. Not if an earlier start
#: went well: then Redis may be away for a minute, and the next start may succeed.
CONFIGURATION_EXIT: Final = 2

#: ``linux/prctl.h``
PR_GET_CHILD_SUBREAPER: Final = 37
#: Time that children have after a second stop signal, or when those of an earlier stage have used the grace up.
LAST_SECONDS: Final = 3.0


class Log(Protocol):
    """The part of a structlog logger that the supervisor uses."""

    def info(self, event: str, /, **fields: Any) -> Any:
        """Log something expected."""

    def warning(self, event: str, /, **fields: Any) -> Any:
        """Log something unexpected."""


class Watcher(Protocol):
    """Is notified of every process of a child. Must not block and not raise."""

    def started(self, pid: int) -> None:
        """Handle the start of a process."""

    def ended(self, pid: int, cause: str) -> None:
        """Handle its end; ``cause`` is its signal or exit code, in words."""


class Supervisor:
    """Runs ``children`` until a stop signal, or until one of them ends with the exit code of a wrong configuration.

    ``grace`` is the time in seconds that all of them together have to end after SIGTERM; what is left then is killed.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        grace: float,
        log: Log,
        backoff: Backoff | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self._runs = [ChildRun(child, backoff or Backoff()) for child in children]
        self._grace = grace
        self._log = log
        self._watcher = watcher

    def run(self) -> int:
        """Block until all children have ended; return 0 after a stop signal, 2 if a child ended with 2.

        A second stop signal is passed on; what still runs a moment later is killed. Call it in the main thread.
        """
        with SignalInbox() as inbox:
            try:
                code = self._supervise(inbox)
                self._stop(inbox)
            finally:
                self._kill(self._runs)
        return code

    def _supervise(self, inbox: SignalInbox) -> int:
        while not inbox.stop_requests:
            now = time.monotonic()
            for child_run in self._runs:
                if self._check(child_run, now) == CONFIGURATION_EXIT and not child_run.was_steady:
                    return CONFIGURATION_EXIT
            reap_orphans({child_run.pid for child_run in self._runs})
            inbox.wait(_soonest(self._runs, now))
        return 0

    def _check(self, child_run: ChildRun, now: float) -> int | None:
        """Start the child if its start is due; return its exit code if it has just ended."""
        code = child_run.ended(now)
        if code is not None:
            self._notify_end(child_run, code)
            self._log.warning("child.ended", child=child_run.name, **_cause(code), **child_run.restart_fields(now))
        elif child_run.due <= now:
            self._start(child_run, now)
        return code

    def _start(self, child_run: ChildRun, now: float) -> None:
        try:
            pid = child_run.start(now)
        except OSError as error:
            self._log.warning(
                "child.not-started", child=child_run.name, error=str(error), **child_run.restart_fields(now)
            )
        else:
            if self._watcher:
                self._watcher.started(pid)
            self._log.info("child.started", child=child_run.name, pid=pid)

    def _notify_end(self, child_run: ChildRun, code: int) -> None:
        if self._watcher:
            self._watcher.ended(
                child_run.pid, " ".join(f"{what.replace('_', ' ')} {value}" for what, value in _cause(code).items())
            )

    def _stop(self, inbox: SignalInbox) -> None:
        """Tell the children to stop, stage after stage, within one grace for all of them."""
        heard = inbox.stop_requests
        deadline, last = time.monotonic() + self._grace, min(LAST_SECONDS, self._grace)
        for stage in sorted({child_run.child.stage for child_run in self._runs}):
            runs = [child_run for child_run in self._runs if child_run.child.stage == stage]
            for child_run in runs:
                child_run.signal(signal.SIGTERM)
            # A stage that has used the grace up leaves the next ones a moment to end in order.
            self._wait_for(runs, inbox, until=max(deadline, time.monotonic() + last), patience=heard)
            if inbox.stop_requests > heard:
                self._force(inbox)
            for child_run in runs:
                code = child_run.ended(time.monotonic())
                if code is not None:
                    self._notify_end(child_run, code)
                    self._log.info("child.stopped", child=child_run.name, **_cause(code))
            self._kill(self._runs if inbox.stop_requests > heard else runs)

    def _force(self, inbox: SignalInbox) -> None:
        """Pass a second stop signal on: a child may have work in hand that it can give back in a moment."""
        for child_run in self._runs:
            child_run.signal(signal.SIGTERM)
        until = time.monotonic() + min(LAST_SECONDS, self._grace)
        self._wait_for(self._runs, inbox, until=until, patience=inbox.stop_requests)

    def _wait_for(self, runs: Sequence[ChildRun], inbox: SignalInbox, *, until: float, patience: int) -> None:
        while any(child_run.is_running() for child_run in runs) and inbox.stop_requests <= patience:
            left = until - time.monotonic()
            if left <= 0:
                return
            inbox.wait(left)

    def _kill(self, runs: Iterable[ChildRun]) -> None:
        for child_run in runs:
            if child_run.is_running():
                self._log.warning("child.killed", child=child_run.name)
                child_run.kill()


def reap_orphans(own: Container[int]) -> None:
    """Reap the dead processes that were left to this one, and were not started by it.

    In a container without an init the supervisor is process 1: whatever a handler has started and left behind becomes
    its child, and would stay a zombie. ``own`` are the ids of its own children, whose exit codes are read elsewhere.
    """
    if os.getpid() != 1 and not _is_subreaper():
        return
    with contextlib.suppress(ChildProcessError):
        while (dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and dead.si_pid not in own:
            os.waitpid(dead.si_pid, os.WNOHANG)


@functools.cache
def _is_subreaper() -> bool:
    """Return whether this process was made the parent of its descendants' orphans (``prctl(2)``)."""
    if sys.platform != "linux":
        return False
    answer = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def reexec(*args: str) -> tuple[str, ...]:
    """Return the command line that runs ``ackfirst <args>`` with this interpreter.

    ``-P``: a folder ``ackfirst`` in the user's working directory must not be run instead.
    """
    return (sys.executable, "-P", "-m", "ackfirst", *args)


def _soonest(runs: Iterable[ChildRun], now: float) -> float | None:
    """Return the seconds until the next start is due; None if none is."""
    soonest = min((child_run.due for child_run in runs), default=float("inf"))
    return None if soonest == float("inf") else max(0.0, soonest - now)


def _cause(code: int) -> dict[str, int | str]:
    """Return the exit code as a log field: ``exit_code``, or the name of the ``signal``."""
    if code >= 0:
        return {"exit_code": code}
    try:
        return {"signal": signal.Signals(-code).name}
    except ValueError:  # a real-time signal has no name
        return {"signal": str(-code)}
