"""Follow a fetched job on its way through its handlers, and let a ``serial`` handler run once at a time."""

import threading
from collections import deque
from dataclasses import dataclass, field

from ackfirst.workers.engine.fetched_job import FetchedJob
from ackfirst.workers.engine.pace import Pace
from ackfirst.workers.processing.dispatch import Attempt
from ackfirst.workers.processing.processor import Work


@dataclass(slots=True, eq=False)
class HandlerRun:
    """A fetched job on its way through its handlers."""

    job: FetchedJob
    work: Work
    attempt: Attempt
    """The attempt that runs, or comes next."""
    queued: float
    """Monotonic seconds at which it began to wait."""
    began: float = 0.0
    """Unix seconds of its first attempt; 0 while it may still be given back."""
    resumed: float = 0.0
    """Monotonic seconds at which its attempt began."""

    @property
    def lane(self) -> str:
        """The lane of the job."""
        return self.job.lane

    @property
    def has_begun(self) -> bool:
        """Return whether a handler has been called."""
        return self.began > 0


@dataclass(slots=True)
class _Gate:
    """The runs that wait while a ``serial`` handler runs. Absent while it does not run."""

    waiting: deque[HandlerRun] = field(default_factory=deque)
    lanes: set[str] = field(default_factory=set)
    """The lanes of which jobs had to wait: no more of them are fetched until the handler is free."""


class SerialGates:
    """Lets one run at a time into each handler that is declared ``serial``. The others hold no thread meanwhile."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._lock = threading.Lock()
        self._gates: dict[str, _Gate] = {}

    def enter(self, run: HandlerRun) -> bool:
        """Return whether the run may go on; if not, it waits, and ``leave`` returns it when it is its turn."""
        with self._lock:
            gate = self._gates.get(run.attempt.handler.name)
            if gate is None:
                self._gates[run.attempt.handler.name] = _Gate()
                return True
            gate.waiting.append(run)
            if run.lane not in gate.lanes:
                gate.lanes.add(run.lane)
                self._pace.blocks(run.lane)
        return False

    def leave(self, handler: str) -> HandlerRun | None:
        """Note that the handler has ended; the run that may enter now."""
        with self._lock:
            gate = self._gates[handler]
            if gate.waiting:
                return gate.waiting.popleft()
            del self._gates[handler]
        for lane in gate.lanes:
            self._pace.unblocks(lane)
        return None

    def waiting(self) -> list[HandlerRun]:
        """The runs that wait."""
        with self._lock:
            return [run for gate in self._gates.values() for run in gate.waiting]

    def take_back(self) -> list[HandlerRun]:
        """Remove the runs that have not begun."""
        found = []
        with self._lock:
            for gate in self._gates.values():
                found += [run for run in gate.waiting if not run.has_begun]
                gate.waiting = deque(run for run in gate.waiting if run.has_begun)
        return found
