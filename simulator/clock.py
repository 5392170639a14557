"""The provider's time, which may pass faster than ours."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Counts the provider's seconds from the start of a run. ``steady`` gives real seconds, by ``perf_counter``.

    The event loop's own clock stands still within a turn and has whole milliseconds: too coarse for what is measured.
    """

    speed: float
    begun: float
    steady: Callable[[], float] = time.perf_counter

    def now(self) -> float:
        """Seconds of the provider's time since the start."""
        return (self.steady() - self.begun) * self.speed

    def real(self, moment: float) -> float:
        """The real moment at which that moment of the provider's time is."""
        return self.begun + moment / self.speed
