"""Decide how many jobs an engine fetches: as many as its threads can begin within a few milliseconds."""

import threading
from collections.abc import Iterable
from typing import Final

#: Seconds of work that are fetched for each thread that is free or is about to be: what another lane's event waits.
BATCH_SECONDS: Final = 0.0075
#: Most jobs of one take or settlement: Redis serves no other client, ingest neither, while it writes them. A job that
#: is the only one of its lane takes it 40 to 55 µs, so 128 of them held it for 5 ms, and 32 do for less than 2.
MOST_JOBS: Final = 32
#: Most events of one lane whose async handlers run at once in one engine. More would hold as many connections of
#: whatever the handlers call.
HANDLER_CONCURRENCY: Final = 100
#: Seconds that a job of a lane is believed to take of which nothing is known.
UNKNOWN_SECONDS: Final = 0.002
#: Seconds that a job is believed to take at the least.
QUICKEST_SECONDS: Final = BATCH_SECONDS / MOST_JOBS
#: Weight of the newest job in the average over all lanes.
USUAL_WEIGHT: Final = 0.02
#: Most jobs of one take of a lane of which nothing is known.
FIRST_JOBS: Final = 4
#: Lanes that are remembered.
REMEMBERED_LANES: Final = 128
#: Weight of the newest job in the average when it was quicker; a slower one counts at once.
WEIGHT: Final = 0.2
#: Seconds within which a thread must be expected to become free for a job to be fetched ahead for it.
AHEAD_SECONDS: Final = 0.025


class Pace:
    """The known facts of each lane's jobs: how long one holds a thread, and whether its handlers are async.

    ``concurrency`` is the most jobs of one lane whose async handlers run at once. Any thread may call any method. It
    remembers the lanes that ran last, so that ten thousand lanes cost a take no more than a hundred.
    """

    def __init__(self, *, concurrency: int, most: int = MOST_JOBS) -> None:
        self._concurrency = concurrency
        self._most = most
        self._lock = threading.Lock()
        self._usual = UNKNOWN_SECONDS
        self._seconds: dict[str, float] = {}
        self._async: set[str] = set()
        self._blocked: dict[str, int] = {}
        self._under_way: dict[str, int] = {}
        self._threads = 1.0

    @property
    def budget(self) -> float:
        """Seconds of work that the next fetch may bring."""
        return (self._threads or 1.0) * BATCH_SECONDS

    def offer(self, threads: float) -> None:
        """Say how many threads the next fetch is for; 0 when only async handlers could begin."""
        self._threads = threads

    def usual(self) -> tuple[int, float]:
        """Room and seconds of a lane that ``known`` does not list: few jobs, as quick as those of other lanes."""
        # Without a free thread one job of it shows whether its handlers are async.
        room = min(FIRST_JOBS, self._concurrency, self._most) if self._threads > 0 else 1
        return room, min(self._usual, BATCH_SECONDS)

    def known(self) -> dict[str, tuple[int, float]]:
        """Lane → room and seconds, of the lanes that ran last.

        No job counts for more than a batch: a slow one occupies one thread, however long.
        """
        with self._lock:
            return {lane: (self._room(lane), min(seconds, BATCH_SECONDS)) for lane, seconds in self._seconds.items()}

    def _room(self, lane: str) -> int:
        if self._blocked.get(lane):
            return 0
        if lane in self._async:
            return max(0, min(self._concurrency - self._under_way.get(lane, 0), self._most))
        return self._most if self._threads > 0 else 0

    def batches(self, lanes: Iterable[str]) -> float:
        """Count the batches of work that these jobs are, given by their lanes."""
        return sum(min(self._seconds.get(lane, self._usual), BATCH_SECONDS) for lane in lanes) / BATCH_SECONDS

    def soon_free(self, running: Iterable[tuple[str, float]]) -> float:
        """Estimate the threads that will be free in a moment, given the lane and the seconds so far of what runs.

        A job that has nearly run its lane's time counts as one; before that, as a part: it may end early.
        """
        seconds = self._seconds
        expected = ((seconds.get(lane, self._usual), so_far) for lane, so_far in running)
        return sum(
            min(1.0, AHEAD_SECONDS / max(end - so_far, QUICKEST_SECONDS))
            for end, so_far in expected
            if so_far <= end + AHEAD_SECONDS  # else its end cannot be predicted
        )

    @property
    def has_async_room(self) -> bool:
        """Return whether a lane with async handlers is known that could begin more of them."""
        with self._lock:
            return any(self._room(lane) > 0 for lane in self._async)

    @property
    def is_limited(self) -> bool:
        """Return whether a lane may have jobs waiting that are not taken, because enough of them are under way."""
        with self._lock:
            return bool(self._blocked) or any(self._room(lane) <= 0 for lane in self._async)

    def ran(self, lane: str, seconds: float) -> None:
        """A job of the lane has held a thread for so long."""
        seconds = max(seconds, QUICKEST_SECONDS)
        with self._lock:
            known = self._seconds.pop(lane, seconds)
            self._seconds[lane] = seconds if seconds >= known else known + WEIGHT * (seconds - known)
            self._usual += USUAL_WEIGHT * (seconds - self._usual)
            if len(self._seconds) > REMEMBERED_LANES:
                self._forget_oldest()

    def waits(self, lane: str) -> None:
        """A job of the lane is now in an async handler, and holds no thread."""
        with self._lock:
            self._async.add(lane)
            self._seconds.setdefault(lane, QUICKEST_SECONDS)
            self._under_way[lane] = self._under_way.get(lane, 0) + 1

    def returned(self, lane: str) -> None:
        """It has left the async handler."""
        with self._lock:
            _decrease(self._under_way, lane)

    def blocks(self, lane: str) -> None:
        """A job of the lane waits for a ``serial`` handler that runs: more of the lane's jobs would wait behind it."""
        with self._lock:
            self._seconds.setdefault(lane, self._usual)
            self._blocked[lane] = self._blocked.get(lane, 0) + 1

    def unblocks(self, lane: str) -> None:
        """It waits for that no more."""
        with self._lock:
            _decrease(self._blocked, lane)

    def _forget_oldest(self) -> None:
        oldest = next(iter(self._seconds))
        seconds = self._seconds.pop(oldest)
        if oldest in self._under_way or oldest in self._blocked:  # its room must be known: it becomes the newest
            self._seconds[oldest] = seconds
        else:
            self._async.discard(oldest)


def _decrease(counts: dict[str, int], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]
