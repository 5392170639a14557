"""What an engine holds: jobs that wait for their turn, and jobs that have ended and are to be written down."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from workers.hands import Finished, Hands
from workers.journal import Journal
from workers.patience import Steadily
from workers.taken import Taken

#: Seconds after which the end of a job is written at the latest while others go on.
SETTLE: Final = 0.025


class Holding:
    """The line of jobs that were taken, and the end of those that have run. ``relieve`` may be called by any thread."""

    def __init__(
        self,
        hands: Hands,
        journal: Journal,
        *,
        steadily: Steadily,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``wall`` gives Unix seconds, ``clock`` monotonic ones."""
        self._hands = hands
        self._journal = journal
        self._steadily = steadily
        self._wall = wall
        self._clock = clock
        self._lock = threading.RLock()
        self._next: deque[Taken] = deque()
        self._finished: list[Finished] = []
        self._finished_since = 0.0
        self._held: set[str] = set()

    def __len__(self) -> int:
        """How many jobs are in hand as far as Redis has confirmed."""
        return len(self._held)

    def add(self, jobs: Sequence[Taken]) -> None:
        """Put jobs in the line."""
        with self._lock:
            self._next.extend(jobs)
            self._held.update(job.job_id for job in jobs)

    def next(self) -> Taken | None:
        """The first in the line, which leaves it."""
        with self._lock:
            return self._next.popleft() if self._next else None

    def put_back(self, jobs: Iterable[Taken]) -> None:
        """Put jobs that have begun at the head of the line again."""
        with self._lock:
            self._next.extendleft(jobs)

    def still_has(self, job: Taken) -> bool:
        """Whether Redis says so too; if not, it is held no more."""
        if self._steadily(lambda: self._hands.holds(job)):
            return True
        self.lose(job)
        return False

    def lose(self, job: Taken) -> None:
        """Somebody else has settled it."""
        self._release([job.job_id])

    def finish(self, one: Finished) -> None:
        """Keep it until it is settled."""
        with self._lock:
            self._finished_since = self._finished_since if self._finished else self._clock()
            self._finished.append(one)

    @property
    def is_settling_due(self) -> bool:
        """Whether what has ended has waited long enough."""
        return bool(self._finished) and self._clock() - self._finished_since > SETTLE

    def settle(self) -> list[Finished]:
        """Write down what has ended; what RQ itself must end."""
        with self._lock:
            left = self._steadily(self._settle)
            back, self._finished = self._finished, []
        return [one for one in back if one.job.job_id in left]

    def give_back(self) -> None:
        """Give back what stands in the line."""
        with self._lock:
            self._steadily(self._give_back)

    def relieve(self) -> None:
        """While a handler holds the engine: give back what waits behind it, and write down what ended before.

        Raises:
            RedisError: Redis did not do it. Nothing is lost: it is done again, by whoever comes first.
        """
        with self._lock:
            self._give_back()
            left = self._settle()
            self._finished = [one for one in self._finished if one.job.job_id in left]

    def _settle(self) -> set[str]:
        if not self._finished:
            return set()
        left = self._hands.settle(self._finished, now=self._wall())
        self._release({one.job.job_id for one in self._finished} - left)
        return left

    def _give_back(self) -> None:
        if self._next:
            self._hands.release(self._next)
            self._release([job.job_id for job in self._next])
            self._next.clear()

    def _release(self, job_ids: Iterable[str]) -> None:
        with self._lock:
            self._held.difference_update(job_ids)
        self._journal.forget(job_ids)
