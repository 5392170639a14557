"""How many jobs of a lane an engine takes at once: as many as its handlers do in the time of one batch."""

from typing import Final

#: Seconds of work that an engine takes at once. It has two batches at the most, one that runs and one that was fetched
#: meanwhile: what another lane's event waits.
BATCH: Final = 0.0075
#: Most jobs of one take.
MOST: Final = 128
#: Most events of one lane whose async handlers run at once in one engine. More would hold as many connections of
#: whatever the handlers call.
HANDLER_CONCURRENCY: Final = 100
#: Seconds that a job of a lane is believed to take of which nothing is known.
UNKNOWN: Final = 0.002
#: Seconds that a job is believed to take at the least.
QUICKEST: Final = BATCH / MOST
#: Weight of the newest job in the average when it was quicker; a slower one counts at once.
WEIGHT: Final = 0.2


class Pace:
    """What is known of each lane's jobs: seconds for which one holds the engine, and whether it has handlers that wait.

    ``concurrency`` is the most jobs of one lane whose async handlers run at once. A pure model: whoever runs jobs tells
    it of them.
    """

    def __init__(self, *, concurrency: int, most: int = MOST) -> None:
        self._concurrency = concurrency
        self._most = most
        self._seconds: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._under_way: dict[str, int] = {}

    def seconds(self, lane: str) -> float:
        """What the next job of the lane will take, as far as can be told."""
        return self._seconds.get(lane, UNKNOWN)

    def room(self, lane: str) -> int:
        """How many more jobs of the lane may be taken now."""
        if lane in self._seconds and lane not in self._waiting:
            return self._most
        return max(0, min(self._concurrency - self._under_way.get(lane, 0), self._most))

    def ran(self, lane: str, seconds: float) -> None:
        """A job of the lane has held the engine for so long."""
        seconds = max(seconds, QUICKEST)
        known = self._seconds.get(lane, seconds)
        self._seconds[lane] = seconds if seconds >= known else known + WEIGHT * (seconds - known)

    def waits(self, lane: str) -> None:
        """A job of the lane has begun to wait in an async handler, and no longer holds the engine."""
        self._waiting.add(lane)
        self._under_way[lane] = self._under_way.get(lane, 0) + 1

    def returned(self, lane: str) -> None:
        """It waits no more."""
        self._under_way[lane] -= 1
