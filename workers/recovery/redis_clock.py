"""Follow the clock of Redis, by which all schedules are written and read.

A retry is due at a moment that one process writes and another one reads. By the wall clock of each, a machine whose
clock is an hour wrong would retry an hour early or late; there is one Redis, and all processes read its clock.
"""

import time
from collections.abc import Callable
from typing import Final

from redis import Redis

#: Change between two calibrations that is a step. Less is drift, or a busy machine.
STEP_SECONDS: Final = 2.0
#: Time after which a step is followed. A clock that is an hour ahead for two seconds (the chaos row ``clock-1h-ahead``)
#: would otherwise leave the retries that were written meanwhile waiting for an hour.
DOUBT_SECONDS: Final = 10.0


def monotonic_seconds() -> float:
    """Seconds of a clock that cannot be set; time in which the machine sleeps counts where the system can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class RedisClock:
    """One process's copy of Redis's clock; it runs by itself between two calls of ``calibrate``."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = monotonic_seconds) -> None:
        self._redis = redis
        self._clock = clock
        self._offset: float | None = None
        self._doubted_since: float | None = None

    def now(self) -> float:
        """Return Unix seconds. Asks Redis when it is called for the first time."""
        return self._clock() + (self.calibrate() if self._offset is None else self._offset)

    def calibrate(self) -> float:
        """Ask Redis for the time; returns the seconds by which schedules are ahead of the monotonic clock."""
        before = self._clock()
        seconds, microseconds = self._redis.time()
        at = (before + self._clock()) / 2
        offset = seconds + microseconds / 1e6 - at
        if self._offset is None or abs(offset - self._offset) <= STEP_SECONDS:
            self._offset, self._doubted_since = offset, None
        elif self._doubted_since is None:
            self._doubted_since = at
        elif at - self._doubted_since > DOUBT_SECONDS:
            self._offset, self._doubted_since = offset, None
        return self._offset
