"""The lanes that a worker serves, and whose turn it is."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from redis import Redis
from rq.defaults import DEFAULT_WORKER_TTL

from shared import keys
from shared.aside import LIMIT, LONGEST_ENTRY
from shared.job import rq_time
from workers.pace import BATCH, Pace
from workers.replies import text
from workers.scripts import script
from workers.taken import Taken

JOB_PREFIX: Final = keys.job("")
MARKS_PREFIX: Final = keys.marks("")


@dataclass(frozen=True, slots=True)
class Taking:
    """What one take brought."""

    jobs: Sequence[Taken] = ()
    is_lonely: bool = False
    """A job waits until the engine has nothing else in its hands."""
    lanes_have_changed: bool = False
    """There are lanes that the engine does not know, or some are gone."""


class Lanes:
    """Takes jobs from many lanes in turns, one from each, until they are work for the time of a batch.

    A lane with a million waiting jobs thus delays a lane with one by a single job. ``pinned`` lanes are served alone;
    without them, all that ever had a job are. What is taken is noted as being in the hands of ``engine``. ``life`` is
    the time in seconds after which RQ forgets an engine that gives no sign of life; ``seed`` is nobody else's.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        engine: str,
        seed: str,
        pinned: tuple[str, ...] = (),
        life: int = DEFAULT_WORKER_TTL,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self.engine = engine
        self._seed = seed
        self._life = life
        self._wall = wall
        self._clock = clock
        self._take = script(redis, "take")
        self._numbers = itertools.count()
        self._unanswered: str | None = None
        self._turn = 0
        self.is_pinned = bool(pinned)
        self.names = pinned

    def discover(self) -> bool:
        """Look for lanes; whether they have changed."""
        if self.is_pinned:
            return False
        found = self._redis.smembers(keys.LANES)
        names = tuple(sorted(text(name) for name in found))
        changed = names != self.names
        self.names = names
        return changed

    def take(self, pace: Pace, *, have: int, most: int) -> Taking:
        """The next jobs, at most ``most``, for an engine that has ``have`` in its hands already. One round trip.

        May be repeated when Redis did not answer: what the lost answer brought comes with the next one.
        """
        if not self.names:
            return Taking()
        start = self._turn % len(self.names)
        order = self.names[start:] + self.names[:start]
        self._unanswered = self._unanswered or f"{self._seed}{next(self._numbers):08x}"
        keys_ = [
            *map(keys.queue, order),
            *map(keys.running, order),
            keys.hands(self.engine),
            f"rq:worker:{self.engine}",
            f"rq:worker:{self.engine}:executions",
            keys.ASIDE,
            keys.LANES,
        ]
        head: list[str | int | float] = [self.engine, have, self._unanswered, most, BATCH]
        tail: list[str | int | float] = [DEFAULT_WORKER_TTL, keys.KILLS, JOB_PREFIX, MARKS_PREFIX]
        tail += [LIMIT, LONGEST_ENTRY, self._life]
        for lane in order:
            tail += (lane, pace.room(lane), pace.seconds(lane))
        while True:
            now = self._wall()
            stopped_by, number, *rows = self._take(keys=keys_, args=[*head, now, rq_time(now), *tail])
            if rows or stopped_by != b"more":
                break
        self._unanswered = None
        at = self._clock()
        jobs = [Taken.of(order[position - 1], row, at=at) for position, *row in rows]
        if isinstance(stopped_by, int):
            self._turn = start + stopped_by - 1  # that lane comes first when the hands are empty
        elif rows:
            self._turn = start + rows[-1][0]
        has_changed = not self.is_pinned and number != len(self.names)
        return Taking(jobs, is_lonely=isinstance(stopped_by, int), lanes_have_changed=has_changed)

    def wait(self, seconds: int) -> bool:
        """Return when a job may have come, at the latest after ``seconds``; whether the bell rang."""
        return self._redis.blpop([keys.BELL], timeout=seconds) is not None
