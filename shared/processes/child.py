"""Start a child process again and again, with pauses that grow while it does not live long."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ackfirst.shared.processes.parent_death import SUPERVISOR_PID

#: Longest wait for a killed process. It is gone at once unless the kernel waits for a device on its behalf.
KILL_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A command to keep running. ``env`` is added to the supervisor's own environment.

    A stop signals the children by ``stage``, lowest first; a stage is signalled when the one before it has ended.
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
        """Return the pause after a child that ran for ``alive`` seconds and was started after the ``former`` pause."""
        if alive >= self.steady:
            return self.first
        return min(max(self.first, former * 2), self.limit)


class ChildRun:
    """The state of one child over all its processes.

    ``pid``: of the latest process. ``due``: monotonic second of the next start, infinite while it runs.
    ``was_steady``: one of its processes ran for long enough that a wrong configuration is no explanation for an end.
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
            # A session of its own: Ctrl-C in the terminal reaches only the supervisor, which then stops all in order.
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
        """Return the exit code once after the process has ended; None otherwise."""
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

    def restart_fields(self, now: float) -> dict[str, float]:
        """Return, for the log, how long it lived and how long it waits."""
        return {"alive_seconds": round(now - self._started, 1), "pause_seconds": self._pause}

    def is_running(self) -> bool:
        """Return whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def signal(self, signum: signal.Signals) -> None:
        """Send its process a signal."""
        if self._process:
            self._process.send_signal(signum)

    def kill(self) -> None:
        """Kill the child and all processes of its group."""
        if self._process and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError, subprocess.TimeoutExpired):
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(KILL_SECONDS)
