"""Show the deadlines of an engine's threads to its supervisor, for handlers that keep the engine from looking itself.

A handler that runs in C with the interpreter's lock held, such as a regular expression that never ends, stops every
thread of its process, also the one that watches deadlines.
"""

import contextlib
import mmap
import os
import signal
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ackfirst.shared.processes.periodic import PeriodicThread
from ackfirst.shared.processes.supervisor import Watcher

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_SLOT: Final = struct.Struct("=d")

#: Seconds after a deadline at which an engine counts as wedged: its handler has ignored the timeout.
WEDGE_GRACE_SECONDS: Final = 5.0
#: Seconds that the engine has beyond it to find out itself, give back what it can, and end.
SUPERVISOR_GRACE_SECONDS: Final = 3.0
#: Seconds between two looks of the supervisor.
LOOK_SECONDS: Final = 1.0


class DeadlineBoard:
    """One number a thread in a file that is mapped into memory: the monotonic second of its deadline."""

    def __init__(self, path: Path | None, threads: int) -> None:
        """Without a ``path``, or where it cannot be written, the supervisor does not see the deadlines."""
        self._memory: mmap.mmap | None = None
        if path is not None:
            with contextlib.suppress(OSError), path.open("w+b") as file:
                file.truncate(threads * _SLOT.size)
                self._memory = mmap.mmap(file.fileno(), threads * _SLOT.size)

    def publish(self, thread: int, deadline: float) -> None:
        """Show the deadline of one thread; infinite for none."""
        if self._memory is not None:
            _SLOT.pack_into(self._memory, thread * _SLOT.size, deadline)


def earliest(content: bytes) -> float:
    """The earliest deadline on a board."""
    whole = len(content) // _SLOT.size * _SLOT.size
    found = [deadline for (deadline,) in _SLOT.iter_unpack(content[:whole]) if deadline > 0]
    return min(found, default=float("inf"))


class WedgedEngines:
    """A supervisor's watcher that kills engines which run far beyond a deadline; ``inner`` hears what it hears."""

    def __init__(self, inner: Watcher, folder: Path, *, log: "FilteringBoundLogger") -> None:
        """``folder`` has a board for each engine, named for its process id."""
        self._inner = inner
        self._folder = folder
        self._log = log
        self._lock = threading.Lock()
        self._living: set[int] = set()
        self.thread = PeriodicThread(self._look, seconds=LOOK_SECONDS, name="wedged-engines")
        """Looks while it runs."""

    def started(self, pid: int) -> None:
        """Watch this process."""
        with self._lock:
            self._living.add(pid)
        self._inner.started(pid)

    def ended(self, pid: int, cause: str) -> None:
        """Watch it no more."""
        with self._lock:
            self._living.discard(pid)
        with contextlib.suppress(OSError):
            (self._folder / str(pid)).unlink(missing_ok=True)
        self._inner.ended(pid, cause)

    def _look(self) -> None:
        with self._lock:
            for pid in sorted(self._living):
                self._look_at(pid)

    def _look_at(self, pid: int) -> None:
        try:
            deadline = earliest((self._folder / str(pid)).read_bytes())
        except OSError:  # it has not begun, or is no engine
            return
        if time.monotonic() > deadline + WEDGE_GRACE_SECONDS + SUPERVISOR_GRACE_SECONDS:
            self._log.error("engine.wedged", pid=pid, hint="a handler holds the interpreter: ackfirst worker --isolate")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._living.discard(pid)
