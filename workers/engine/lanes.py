"""Take jobs from the lanes that have work, in turns."""

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import orjson
from redis import Redis
from rq.defaults import DEFAULT_WORKER_TTL

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import rq_time
from ackfirst.shared.queue.rejects import LIMIT, LONGEST_ENTRY
from ackfirst.workers.engine.fetched_job import FetchedJob, FetchResult
from ackfirst.workers.replies import text
from ackfirst.workers.scripts import script

#: Answers of ``take.lua`` have one value ahead of their jobs.
_HEAD: Final = 1
#: Lanes that an engine shows as its queues in RQ's own registry: ten thousand would cost every engine as many writes a
#: second, and no page could show them.
SHOWN_LANES: Final = 100


class LanePace(Protocol):
    """The number of jobs of each lane that an engine has room for, and the expected duration of one."""

    @property
    def budget(self) -> float:
        """Seconds of work that one take may bring."""

    def usual(self) -> tuple[int, float]:
        """Room and seconds for a job of a lane that ``known`` does not list."""

    def known(self) -> Mapping[str, tuple[int, float]]:
        """Lane → room and seconds, of every lane that differs; a few hundred at most: they are sent with each take."""


class Lanes:
    """Takes one job from each lane in turn, until they are work for the time of a batch.

    Whose turn it is stands in Redis, in the ready set, and all engines share it: a lane with a million waiting jobs
    delays a lane with one by a single job. ``pinned`` lanes are served alone; without them, all lanes are. What is
    taken is noted as in flight at ``engine``. ``life`` is the time in seconds after which RQ forgets an engine
    without heartbeats; ``seed`` must be unique.
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
        self._wall = wall
        self._clock = clock
        self._take = script(redis, "take")
        self._keys = [
            keys.in_flight(engine),
            keys.worker(engine),
            keys.worker_executions(engine),
            keys.REJECTS,
            keys.READY,
            keys.PAUSED,
        ]
        self._fixed = orjson.dumps(
            {
                "timeout": DEFAULT_WORKER_TTL,
                "life": life,
                "kills": keys.KILLS,
                "replay": keys.REPLAY,
                "rejects": LIMIT,
                "entry": LONGEST_ENTRY,
                "job": keys.JOB_PREFIX,
                "marks": keys.MARKS_PREFIX,
                "list": keys.queue(""),
                "running": keys.running(""),
            }
        )
        self._names_of_takes = map(f"{seed}{{:08x}}".format, itertools.count())
        self._unanswered: str | None = None
        self._asked_at = 0.0
        self._pinned = pinned
        self.names = pinned
        """The lanes to show as this engine's queues, at most ``SHOWN_LANES`` of all that it serves."""

    @property
    def is_pinned(self) -> bool:
        """Return whether this engine serves some lanes only."""
        return bool(self._pinned)

    def discover(self) -> bool:
        """Look for lanes to show; whether they have changed."""
        if self._pinned:
            return False
        found: Any = self._redis.sscan_iter(keys.LANES, count=SHOWN_LANES)
        names = tuple(sorted(text(name) for name in itertools.islice(found, SHOWN_LANES)))
        changed = names != self.names
        self.names = names
        return changed

    def take(self, pace: LanePace, *, have: int, most: int) -> FetchResult:
        """Take the next jobs, at most ``most``, for an engine that has ``have`` in flight already. One round trip.

        May be repeated when Redis did not answer: what the lost answer brought comes with the next one.
        """
        while True:
            reply = self._ask(pace, have=have, most=most)
            if len(reply) > _HEAD or reply[0] != b"more":
                break
        stopped_by, *rows = reply
        self._unanswered = None
        jobs = [FetchedJob.of(text(lane), row, at=self._asked_at) for lane, *row in rows]
        return FetchResult(jobs, is_lonely=stopped_by == b"lonely", is_full=stopped_by == b"full")

    def _ask(self, pace: LanePace, *, have: int, most: int) -> list[Any]:
        self._unanswered = self._unanswered or next(self._names_of_takes)
        now = self._wall()
        room, seconds = pace.usual()
        ask = {
            "engine": self.engine,
            "have": have,
            "take": self._unanswered,
            "most": most,
            "budget": pace.budget,
            "now": now,
            "time": rq_time(now),
            "room": room,
            "seconds": seconds,
            "known": pace.known(),
            "pinned": self._pinned,
        }
        self._asked_at = self._clock()
        reply: list[Any] = self._take(keys=self._keys, args=[orjson.dumps(ask), self._fixed])
        return reply

    def wait(self, seconds: int) -> bool:
        """Return when a job may have come, at the latest after ``seconds``; whether the bell rang."""
        return self._redis.blpop([keys.BELL], timeout=seconds) is not None
