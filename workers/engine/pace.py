"""How many jobs of a lane an engine takes at once: as many as its handlers do in the time of one batch."""

from typing import Final

#: Seconds of work that an engine takes at once. It has two batches at the most, one that runs and one that was fetched
#: meanwhile: what another lane's event waits.
BATCH: Final = 0.0075
#: Most jobs of one take.
MOST: Final = 128
#: Seconds that a job of a lane is believed to take of which nothing is known.
UNKNOWN: Final = 0.002
#: Seconds that a job is believed to take at the least.
QUICKEST: Final = BATCH / MOST
#: Weight of the newest job in the average over all lanes.
USUAL_WEIGHT: Final = 0.02
#: Most jobs of one take of a lane of which nothing is known.
FIRST_JOBS: Final = 4
#: Lanes that are remembered.
REMEMBERED: Final = 128
#: Weight of the newest job in the average when it was quicker; a slower one counts at once.
WEIGHT: Final = 0.2


class Pace:
    """What is known of each lane's jobs: seconds for which one holds the engine, and whether it has handlers that wait.

    ``concurrency`` is the most jobs of one lane whose async handlers run at once. A pure model: whoever runs jobs tells
    it of them. It remembers the lanes that ran last, so that ten thousand lanes cost a take no more than a hundred.
    """

    def __init__(self, *, concurrency: int, most: int = MOST) -> None:
        self._concurrency = concurrency
        self._most = most
        self._usual = UNKNOWN
        self._seconds: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._under_way: dict[str, int] = {}

    def usual(self) -> tuple[int, float]:
        """Room and seconds of a lane that ``known`` does not list: few jobs, as quick as those of other lanes."""
        return min(FIRST_JOBS, self._concurrency, self._most), self._usual

    def known(self) -> list[tuple[str, int, float]]:
        """Lane, room and seconds of the lanes that ran last."""
        return [(lane, self._room(lane), seconds) for lane, seconds in self._seconds.items()]

    def _room(self, lane: str) -> int:
        if lane not in self._waiting:
            return self._most
        return max(0, min(self._concurrency - self._under_way.get(lane, 0), self._most))

    def ran(self, lane: str, seconds: float) -> None:
        """A job of the lane has held the engine for so long."""
        seconds = max(seconds, QUICKEST)
        known = self._seconds.pop(lane, seconds)
        self._seconds[lane] = seconds if seconds >= known else known + WEIGHT * (seconds - known)
        self._usual += USUAL_WEIGHT * (seconds - self._usual)
        if len(self._seconds) > REMEMBERED:
            self._forget_oldest()

    def waits(self, lane: str) -> None:
        """A job of the lane has begun to wait in an async handler, and no longer holds the engine."""
        self._waiting.add(lane)
        self._under_way[lane] = self._under_way.get(lane, 0) + 1

    def returned(self, lane: str) -> None:
        """It waits no more."""
        self._under_way[lane] -= 1
        if not self._under_way[lane]:
            del self._under_way[lane]

    def _forget_oldest(self) -> None:
        oldest = next(iter(self._seconds))
        seconds = self._seconds.pop(oldest)
        if oldest in self._under_way:  # its room must be known: it comes back as the newest
            self._seconds[oldest] = seconds
        else:
            self._waiting.discard(oldest)
