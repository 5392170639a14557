"""The clock of all schedules: the one of Redis, the same for every machine, and freed from its steps.

A retry is due at a moment that one process writes and another one reads. If each took its own wall clock, a machine
whose clock is an hour wrong would retry an hour early or late, and a clock that is set forward by an hour would make
every retry of that hour due at once.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from ackfirst.shared.queue import keys

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Seconds by which a clock must jump for it to be a step. Less is drift, or a busy machine.
STEP: Final = 2.0
#: Seconds after which a process believes a step that no janitor has corrected.
BELIEF: Final = 10.0
#: Share by which schedules run faster or slower until they agree with the clock on the wall again.
SLEW: Final = 0.1
#: Seconds of correction that are not worth a write.
NEGLIGIBLE: Final = 0.01


def steady() -> float:
    """Seconds that no one can set. Time in which the machine sleeps counts where the system can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Reference:
    """One process's copy of the clock; runs by itself between two looks at Redis."""

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = steady) -> None:
        self._redis = redis
        self._clock = clock
        self._offset: float | None = None
        self._doubted_since: float | None = None

    def now(self) -> float:
        """Unix seconds. Asks Redis when it is asked for the first time."""
        if self._offset is None:
            self.calibrate()
        assert self._offset is not None  # noqa: S101 - calibrate has set it, or raised
        return self._clock() + self._offset

    def calibrate(self) -> None:
        """Follow Redis's clock; a step of it only when nobody corrects that."""
        before = self._clock()
        raw, correction = read(self._redis)
        at = (before + self._clock()) / 2
        offset = raw + correction - at
        if self._offset is None or abs(offset - self._offset) <= STEP:
            self._offset, self._doubted_since = offset, None
        elif self._doubted_since is None:
            self._doubted_since = at
        elif at - self._doubted_since > BELIEF:
            self._offset, self._doubted_since = offset, None


class Corrector:
    """Notices that Redis's clock was set, and writes down by how much schedules are to differ from it."""

    def __init__(self, redis: Redis, *, log: "FilteringBoundLogger", clock: Callable[[], float] = steady) -> None:
        self._redis = redis
        self._log = log
        self._clock = clock
        self._last: tuple[float, float] | None = None
        self._elapsed = 0.0
        self._correction = 0.0

    def look(self) -> float:
        """Look at the clock, in every janitor; how far it has been set since the last look, 0 as a rule."""
        raw, correction = read(self._redis)
        at = self._clock()
        last, self._last = self._last, (raw, at)
        self._correction = correction
        if last is None:
            return 0.0
        self._elapsed = at - last[1]
        step = (raw - last[0]) - self._elapsed
        return step if abs(step) > STEP else 0.0

    def correct(self, step: float) -> None:
        """Keep the schedules where they were; in the one janitor that has the lease."""
        if step:
            self._redis.incrbyfloat(keys.CLOCK, -step)
            self._log.warning(
                "clock.stepped", seconds=round(step, 3), consequence="retries keep their distance, none comes early"
            )
        elif abs(self._correction) > NEGLIGIBLE:
            most = SLEW * self._elapsed
            self._redis.incrbyfloat(keys.CLOCK, -max(-most, min(most, self._correction)))


def read(redis: Redis) -> tuple[float, float]:
    """Redis's clock in Unix seconds, and the correction in seconds."""
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.time()
        pipeline.get(keys.CLOCK)
        now, correction = pipeline.execute(raise_on_error=False)
    if isinstance(now, Exception):
        raise now
    seconds, microseconds = now
    return int(seconds) + int(microseconds) / 1e6, _number(correction)


def _number(text: Any) -> float:
    try:
        return float(text or 0)
    except (ValueError, TypeError):  # somebody else's
        return 0.0
