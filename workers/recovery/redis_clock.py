"""Follow the clock of Redis, by which all schedules are written and read.

A retry is due at a moment that one process writes and another one reads. By the wall clock of each, a machine whose
clock is an hour wrong would retry an hour early or late; there is one Redis, and all processes read its clock.
"""

import time
from collections.abc import Callable

from redis import Redis


def monotonic_seconds() -> float:
    """Seconds of a clock that nobody can set; time in which the machine sleeps counts where the system can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class RedisClock:
    """One process's copy of Redis's clock; it runs by itself between two calls of ``calibrate``."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = monotonic_seconds) -> None:
        self._redis = redis
        self._clock = clock
        self._offset: float | None = None

    def now(self) -> float:
        """Return Unix seconds. Asks Redis when it is called for the first time."""
        return self._clock() + (self.calibrate() if self._offset is None else self._offset)

    def calibrate(self) -> float:
        """Ask Redis for the time; returns the seconds by which it is ahead of the monotonic clock."""
        before = self._clock()
        seconds, microseconds = self._redis.time()
        self._offset = seconds + microseconds / 1e6 - (before + self._clock()) / 2
        return self._offset
