"""Repeat something at intervals, from a loop that has other things to do."""

import time
from collections.abc import Callable


class PeriodicTask:
    """Calls ``run`` with the Unix time, at most once in ``seconds`` of ``clock`` (monotonic)."""

    def __init__(
        self, run: Callable[[float], object], *, seconds: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._run = run
        self._seconds = seconds
        self._clock = clock
        self._next = float("-inf")

    def __call__(self, now: float) -> None:
        """Run the task if it is due; ``now`` in Unix seconds."""
        if self._clock() >= self._next:
            self._next = self._clock() + self._seconds
            self._run(now)
