"""Decide how many events of a replay may be queued now. Pure."""

from collections import deque
from collections.abc import Callable
from typing import Final

#: Seconds of work that a replay keeps waiting in its lanes: so long a live event may wait behind replayed ones.
WINDOW_SECONDS: Final = 1.0
#: Events that may wait in any case: a replay begins with so few, and doubles as they are worked off.
LEAST_WINDOW: Final = 10
#: Seconds over which the speed of the handlers is measured.
MEASURED_SECONDS: Final = 2.0


class ReplayPace:
    """Holds a replay to its rate, and to what its lanes work off in ``WINDOW_SECONDS``."""

    def __init__(self, now: float) -> None:
        self._at = now
        self._tokens = float(LEAST_WINDOW)
        self._passes: deque[tuple[float, int]] = deque()
        self._moved = 0

    def allow(self, now: float, *, rate: float, waiting: int, passes: int) -> int:
        """Return how many events may be queued.

        Args:
            now: Seconds.
            rate: Events a second that the operator allows.
            waiting: Jobs that wait in the lanes of the replay, live ones too.
            passes: Passes of replayed events that have ended since the replay began.
        """
        self._tokens = min(max(1.0, rate), self._tokens + rate * max(0.0, now - self._at))
        self._at = now
        # Twice what was worked off since the last look: otherwise a replay that is looked at once a second would never
        # become faster than ``LEAST_WINDOW`` a second.
        growth = 0 if waiting else 2 * self._moved
        window = max(LEAST_WINDOW, growth, int(self._speed(now, passes) * WINDOW_SECONDS))
        self._moved = 0
        return max(0, min(int(self._tokens), window - waiting))

    def spend(self, moved: int) -> None:
        """Note that so many events were queued."""
        self._tokens -= moved
        self._moved += moved

    def _speed(self, now: float, passes: int) -> float:
        """Return how many replayed events ended in a second."""
        while self._passes and now - self._passes[0][0] > MEASURED_SECONDS:
            self._passes.popleft()
        self._passes.append((now, passes))
        since, before = self._passes[0]
        return (passes - before) / max(now - since, 1.0)


class StuckLanes:
    """Finds lanes whose oldest event has not moved for a while: nothing serves them, so nothing is gained by waiting.

    ``clock`` gives monotonic seconds.
    """

    def __init__(self, *, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._heads: dict[str, tuple[str, float]] = {}

    def look(self, heads: dict[str, str]) -> set[str]:
        """Compare lane → id of its oldest job with those of earlier looks; return the stuck lanes."""
        now = self._clock()
        before, self._heads = self._heads, {}
        for lane, head in heads.items():
            known, since = before.get(lane, ("", now))
            self._heads[lane] = (head, since if head == known else now)
        return {lane for lane, (_, since) in self._heads.items() if now - since > self._seconds}
