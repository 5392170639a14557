"""What an engine holds: jobs that wait for their turn, and jobs that have ended and are to be written down."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from redis.exceptions import RedisError

from ackfirst.workers.engine.ahead import Ahead
from ackfirst.workers.engine.in_flight import Finished, Hands
from ackfirst.workers.engine.journal import Journal
from ackfirst.workers.engine.lanes import Lanes, Taking
from ackfirst.workers.engine.pace import Pace
from ackfirst.workers.engine.taken import Taken
from ackfirst.workers.redis_retry import Retry
from ackfirst.workers.replies import text

#: Seconds after which the end of a job is written at the latest while others go on.
SETTLE: Final = 0.025


class Holding:
    """The line of jobs that were taken, and the end of those that have run. ``relieve`` may be called by any thread.

    ``go_ahead`` lets Redis settle and take while handlers run. Whatever becomes of that, nothing is lost: what it was
    to settle is settled again, what it took comes with the next take.
    """

    def __init__(
        self,
        lanes: Lanes,
        hands: Hands,
        journal: Journal,
        ahead: Ahead,
        *,
        retry: Retry,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``wall`` gives Unix seconds, ``clock`` monotonic ones."""
        self._lanes = lanes
        self._hands = hands
        self._journal = journal
        self._ahead = ahead
        self._retry = retry
        self._wall = wall
        self._clock = clock
        self._lock = threading.RLock()
        self._next: deque[Taken] = deque()
        self._finished: list[Finished] = []
        self._finished_since = 0.0
        self._settling: list[Finished] = []
        self._for_rq: list[Finished] = []
        self._taking: Taking | None = None
        self._held: set[str] = set()

    def __len__(self) -> int:
        """How many jobs are in hand as far as Redis has confirmed."""
        return len(self._held)

    # The line
    def add(self, jobs: Sequence[Taken]) -> None:
        """Put jobs in the line."""
        with self._lock:
            self._next.extend(jobs)
            self._held.update(job.job_id for job in jobs)

    @property
    def has_next(self) -> bool:
        """Whether jobs stand in it."""
        return bool(self._next)

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
        if self._retry(lambda: self._hands.holds(job)):
            return True
        self.lose(job)
        return False

    def lose(self, job: Taken) -> None:
        """Somebody else has settled it."""
        with self._lock:
            self._let_go([job.job_id])

    # The ends
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
            self._retry(self._settle)
            found, self._for_rq = self._for_rq, []
        return found

    @property
    def owes_rq(self) -> bool:
        """Whether some of what was settled is for RQ to end."""
        return bool(self._for_rq)

    # What Redis does meanwhile
    @property
    def is_ahead(self) -> bool:
        """Whether Redis is at it, or has brought what nobody has looked at."""
        return self._ahead.is_under_way or self._taking is not None

    def go_ahead(self, pace: Pace, *, most: int) -> None:
        """Let Redis settle what has ended, and then take, while handlers run."""
        with self._lock:
            finished = self._finished
            have = len(self._held) - len(finished)
            in_line = Counter(job.lane for job in self._next)
            calls = [self._lanes.ask(pace, have=have, most=most, in_line=in_line)]
            if finished:
                calls.insert(0, self._hands.settling(finished, now=self._wall()))
            try:
                self._ahead.send(calls)
            except RedisError:
                return  # whoever comes to Redis next will wait for it
            self._settling, self._finished = finished, []

    def catch_up(self) -> Taking | None:
        """What Redis has brought meanwhile, already in the line; None when nothing was under way, or it broke."""
        with self._lock:
            self._collect()
            taking, self._taking = self._taking, None
        return taking

    def _collect(self) -> None:
        if not self._ahead.is_under_way:
            return
        try:
            *left, taken = self._ahead.answers()
        except BaseException as error:
            self._finished[:0] = self._settling
            self._settling = []
            if isinstance(error, RedisError):
                return
            raise
        settled, self._settling = self._settling, []
        self._confirm(settled, set(map(text, left[0])) if left else set())
        self._taking = self._lanes.answer(taken)
        self.add(self._taking.jobs)

    # While a handler holds the engine, or at the end
    def give_all_back(self) -> None:
        """Give back also what Redis alone knows of: the answer to a take was lost, or a job was broken off.

        Raises:
            RedisError: Redis did not do it; the janitor will.
        """
        with self._lock:
            self._hands.release_all()
            self._let_go(list(self._held))

    def give_back(self) -> None:
        """Give back what stands in the line."""
        with self._lock:
            self._collect()
            self._retry(self._give_back)

    def relieve(self) -> None:
        """Give back what waits behind a handler that takes long, and write down what ended before.

        Raises:
            RedisError: Redis did not do it. Nothing is lost: it is done again, by whoever comes first.
        """
        with self._lock:
            self._collect()
            self._give_back()
            self._settle()

    def _settle(self) -> None:
        if self._finished:
            left = self._hands.settle(self._finished, now=self._wall())
            settled, self._finished = self._finished, []
            self._confirm(settled, left)

    def _confirm(self, settled: Sequence[Finished], left: set[str]) -> None:
        """Redis has settled all of them but those that are ``left``."""
        self._for_rq += [one for one in settled if one.job.job_id in left]
        self._let_go([one.job.job_id for one in settled if one.job.job_id not in left])

    def _give_back(self) -> None:
        if self._next:
            self._hands.release(self._next)
            self._let_go([job.job_id for job in self._next])
            self._next.clear()

    def _let_go(self, job_ids: Sequence[str]) -> None:
        self._held.difference_update(job_ids)
        self._journal.forget(job_ids)
