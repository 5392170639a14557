"""Keeps a set of child processes running: starts them, restarts the ones that die, stops them in order.

Every process of ``ackfirst dev`` and of ``--processes N`` runs under one of these.
"""

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ackfirst.shared.processes.parent_death import SUPERVISOR_PID
from ackfirst.shared.processes.signals import SignalInbox

#: Exit code of a command whose configuration is wrong: another start would end the same way. Not so where an earlier
#: one went well: then the world has changed, perhaps a Redis is away for a minute, and the next start is worth its try.
CONFIGURATION_EXIT: Final = 2

#: ``linux/prctl.h``
PR_GET_CHILD_SUBREAPER: Final = 37
#: Seconds that children have after a second stop signal, or when those of an earlier stage have used the grace up.
LAST_SECONDS: Final = 3.0
#: Seconds that a killed process is waited for. It is gone at once unless the kernel holds it in a device.
KILL_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """What to run. ``env`` is added to the supervisor's own environment.

    Children are told to stop by ``stage``, lowest first: the next stage hears of it when the one before is gone.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stage: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses before restarts, in seconds: ``first``, doubling up to ``limit``; from ``first`` again once ``steady``."""

    first: float = 0.5
    limit: float = 10.0
    steady: float = 10.0

    def pause(self, former: float, *, alive: float) -> float:
        """The pause for a child that lived ``alive`` seconds after the ``former`` pause (0: none yet)."""
        if alive >= self.steady:
            return self.first
        return min(max(self.first, former * 2), self.limit)


class Log(Protocol):
    """The part of a structlog logger that the supervisor speaks to."""

    def info(self, event: str, /, **fields: Any) -> Any:
        """Something that was meant to happen."""

    def warning(self, event: str, /, **fields: Any) -> Any:
        """Something that was not."""


class Watcher(Protocol):
    """Hears of every process of a child. Must not block and not raise."""

    def started(self, pid: int) -> None:
        """A process runs."""

    def ended(self, pid: int, cause: str) -> None:
        """It does not any more; ``cause`` is its signal or its exit code, in words."""


class Supervisor:
    """Runs ``children`` until a stop signal, or until one of them says at its start that its configuration is wrong.

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
        self._lives = [_Life(child, backoff or Backoff()) for child in children]
        self._grace = grace
        self._log = log
        self._watcher = watcher

    def run(self) -> int:
        """Block until all children are gone. 0 after SIGTERM, SIGINT or SIGHUP; 2 when a child ended with 2.

        A second stop signal is passed on; what still runs a moment later is killed. Call it in the main thread.
        """
        with SignalInbox() as inbox:
            try:
                code = self._watch(inbox)
                self._stop(inbox)
            finally:
                self._kill(self._lives)
        return code

    def _watch(self, inbox: SignalInbox) -> int:
        while not inbox.stop_requests:
            now = time.monotonic()
            for life in self._lives:
                if self._tend(life, now) == CONFIGURATION_EXIT and not life.was_steady:
                    return CONFIGURATION_EXIT
            reap_orphans({life.pid for life in self._lives})
            inbox.wait(_soonest(self._lives, now))
        return 0

    def _tend(self, life: "_Life", now: float) -> int | None:
        """Start the child when its time has come; the exit code when it has just ended."""
        code = life.ended(now)
        if code is not None:
            self._tell_end(life, code)
            self._log.warning("child.ended", child=life.name, **_cause(code), **life.prospect(now))
        elif life.due <= now:
            self._start(life, now)
        return code

    def _start(self, life: "_Life", now: float) -> None:
        try:
            pid = life.start(now)
        except OSError as error:
            self._log.warning("child.not-started", child=life.name, error=str(error), **life.prospect(now))
        else:
            if self._watcher:
                self._watcher.started(pid)
            self._log.info("child.started", child=life.name, pid=pid)

    def _tell_end(self, life: "_Life", code: int) -> None:
        if self._watcher:
            self._watcher.ended(
                life.pid, " ".join(f"{what.replace('_', ' ')} {value}" for what, value in _cause(code).items())
            )

    def _stop(self, inbox: SignalInbox) -> None:
        """Tell the children to stop, stage after stage, within one grace for all of them."""
        heard = inbox.stop_requests
        deadline, last = time.monotonic() + self._grace, min(LAST_SECONDS, self._grace)
        for stage in sorted({life.child.stage for life in self._lives}):
            lives = [life for life in self._lives if life.child.stage == stage]
            for life in lives:
                life.signal(signal.SIGTERM)
            # A stage that has used the grace up leaves the next ones a moment to end in order.
            self._wait_for(lives, inbox, until=max(deadline, time.monotonic() + last), patience=heard)
            if inbox.stop_requests > heard:
                self._force(inbox)
            for life in lives:
                code = life.ended(time.monotonic())
                if code is not None:
                    self._tell_end(life, code)
                    self._log.info("child.stopped", child=life.name, **_cause(code))
            self._kill(self._lives if inbox.stop_requests > heard else lives)

    def _force(self, inbox: SignalInbox) -> None:
        """Pass a second stop signal on: a child may have work in hand that it can give back in a moment."""
        for life in self._lives:
            life.signal(signal.SIGTERM)
        until = time.monotonic() + min(LAST_SECONDS, self._grace)
        self._wait_for(self._lives, inbox, until=until, patience=inbox.stop_requests)

    def _wait_for(self, lives: Sequence["_Life"], inbox: SignalInbox, *, until: float, patience: int) -> None:
        while any(life.runs() for life in lives) and inbox.stop_requests <= patience:
            left = until - time.monotonic()
            if left <= 0:
                return
            inbox.wait(left)

    def _kill(self, lives: Iterable["_Life"]) -> None:
        for life in lives:
            if life.runs():
                self._log.warning("child.killed", child=life.name)
                life.kill()


class _Life:
    """One child through all its processes.

    ``pid``: of the latest process. ``due``: monotonic second of the next start, infinite while it runs.
    ``was_steady``: a process of it has lived long.
    """

    def __init__(self, child: Child, backoff: Backoff) -> None:
        self.child = child
        self.name = child.name
        self.pid = 0
        self.due = 0.0
        self.was_steady = False
        self._backoff = backoff
        self._pause = 0.0
        self._started = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, now: float) -> int:
        """Start a process and return its id. An OSError counts as a process that ended at once."""
        self._started = now
        try:
            # Its own session: Ctrl-C in the terminal reaches the supervisor alone, which then stops in order.
            self._process = subprocess.Popen(  # noqa: S603 - the command lines are our own
                self.child.argv,
                env={**os.environ, **self.child.env, SUPERVISOR_PID: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self._wait_for_next_start(now)
            raise
        self.due = float("inf")
        self.pid = self._process.pid
        return self.pid

    def ended(self, now: float) -> int | None:
        """The exit code, once, after the process has ended."""
        code = self._process.poll() if self._process else None
        if code is not None:
            self._process = None
            self._wait_for_next_start(now)
        return code

    def _wait_for_next_start(self, now: float) -> None:
        alive = now - self._started
        self.was_steady = self.was_steady or alive >= self._backoff.steady
        self._pause = self._backoff.pause(self._pause, alive=alive)
        self.due = now + self._pause

    def prospect(self, now: float) -> dict[str, float]:
        return {"alive_seconds": round(now - self._started, 1), "pause_seconds": self._pause}

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, signum: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(signum)

    def kill(self) -> None:
        """Kill the child and what it started in its own process group."""
        if self._process and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError, subprocess.TimeoutExpired):
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(KILL_SECONDS)


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
    """Whether this process was made the parent of its descendants' orphans (``prctl(2)``)."""
    if sys.platform != "linux":
        return False
    answer = ctypes.c_int(0)
    ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def reexec(*args: str) -> tuple[str, ...]:
    """The command line that runs ``ackfirst <args>`` with this interpreter.

    ``-P``: a folder ``ops`` or ``workers`` in the user's working directory must not take the place of ours.
    """
    return (sys.executable, "-P", "-m", "ackfirst", *args)


def _soonest(lives: Iterable[_Life], now: float) -> float | None:
    """Seconds until the next start is due; None when nothing is."""
    soonest = min((life.due for life in lives), default=float("inf"))
    return None if soonest == float("inf") else max(0.0, soonest - now)


def _cause(code: int) -> dict[str, int | str]:
    """The exit code as a log field: ``exit_code``, or the name of the ``signal``."""
    if code >= 0:
        return {"exit_code": code}
    try:
        return {"signal": signal.Signals(-code).name}
    except ValueError:  # a real-time signal has no name
        return {"signal": str(-code)}
