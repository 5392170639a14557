"""The lanes that a worker serves, and whose turn it is."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis
from rq.defaults import DEFAULT_WORKER_TTL

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import rq_time
from ackfirst.shared.queue.rejects import LIMIT, LONGEST_ENTRY
from ackfirst.workers.engine.ahead import Call
from ackfirst.workers.engine.pace import BATCH, Pace
from ackfirst.workers.engine.taken import Taken
from ackfirst.workers.replies import text
from ackfirst.workers.scripts import script

#: What an answer of ``take.lua`` has ahead of its jobs.
_HEAD: Final = 2
_NONE: Final[Mapping[str, int]] = {}

JOB_PREFIX: Final = keys.job("")
MARKS_PREFIX: Final = keys.marks("")


@dataclass(frozen=True, slots=True)
class Taking:
    """What one take brought."""

    jobs: Sequence[Taken] = ()
    is_lonely: bool = False
    """A job waits until the engine has nothing else in its hands."""
    is_full: bool = False
    """More may wait: they are as many as were wanted."""
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
        self._turn = self._start = 0
        self._order: tuple[str, ...] = ()
        self._asked_at = 0.0
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
        while True:
            take, keys_, arguments = self.ask(pace, have=have, most=most)
            reply = take(keys=keys_, args=arguments)
            if len(reply) > _HEAD or reply[0] != b"more":
                return self.answer(reply)

    def ask(self, pace: Pace, *, have: int, most: int, in_line: Mapping[str, int] = _NONE) -> Call:
        """The call that takes; ``in_line``: lane → jobs that ``pace`` has not been told of yet. There must be lanes."""
        self._start = self._turn % len(self.names)
        self._order = self.names[self._start :] + self.names[: self._start]
        self._unanswered = self._unanswered or f"{self._seed}{next(self._numbers):08x}"
        keys_ = [
            *map(keys.queue, self._order),
            *map(keys.running, self._order),
            keys.hands(self.engine),
            f"rq:worker:{self.engine}",
            f"rq:worker:{self.engine}:executions",
            keys.REJECTS,
            keys.LANES,
        ]
        now = self._wall()
        arguments: list[str | int | float] = [self.engine, have, self._unanswered, most, BATCH, now, rq_time(now)]
        arguments += [DEFAULT_WORKER_TTL, keys.KILLS, JOB_PREFIX, MARKS_PREFIX, LIMIT, LONGEST_ENTRY, self._life]
        for lane in self._order:
            arguments += (lane, max(0, pace.room(lane) - in_line.get(lane, 0)), pace.seconds(lane))
        self._asked_at = self._clock()
        return self._take, keys_, arguments

    def answer(self, reply: list[Any]) -> Taking:
        """What the answer to the latest ``ask`` brought."""
        stopped_by, number, *rows = reply
        self._unanswered = None
        jobs = [Taken.of(self._order[position - 1], row, at=self._asked_at) for position, *row in rows]
        if isinstance(stopped_by, int):
            self._turn = self._start + stopped_by - 1  # that lane comes first when the hands are empty
        elif rows:
            self._turn = self._start + rows[-1][0]
        return Taking(
            jobs,
            is_lonely=isinstance(stopped_by, int),
            is_full=stopped_by == b"full",
            lanes_have_changed=not self.is_pinned and number != len(self.names),
        )

    def wait(self, seconds: int) -> bool:
        """Return when a job may have come, at the latest after ``seconds``; whether the bell rang."""
        return self._redis.blpop([keys.BELL], timeout=seconds) is not None
