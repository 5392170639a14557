"""The lanes that a worker serves, and whose turn it is."""

from dataclasses import dataclass
from typing import Final

from redis import Redis

from shared import keys
from shared.aside import LIMIT, LONGEST_ENTRY
from workers.replies import text
from workers.scripts import script

JOB_PREFIX: Final = keys.job("")


@dataclass(frozen=True, slots=True)
class Taken:
    """A job that now stands in its lane's intermediate list."""

    lane: str
    job_id: str
    fields: dict[bytes, bytes]
    """The job hash."""


class Lanes:
    """Takes jobs from many lanes in turns: after one job, the next lane comes first.

    A lane with a million waiting jobs thus delays a lane with one by a single job. ``pinned`` lanes are served alone;
    without them, all that ever had a job are. What is taken is noted as being in the hands of ``engine``.
    """

    def __init__(self, redis: Redis, *, engine: str, pinned: tuple[str, ...] = ()) -> None:
        self._redis = redis
        self.engine = engine
        self._take = script(redis, "take")
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

    def take(self) -> Taken | None:
        """The next job; None when no lane has one. One round trip."""
        if not self.names:
            return None
        start = self._turn % len(self.names)
        order = self.names[start:] + self.names[:start]
        keys_ = [*map(keys.queue, order), *map(keys.intermediate, order), keys.HANDS, keys.ASIDE]
        arguments: list[str | int] = [JOB_PREFIX, self.engine, LIMIT, LONGEST_ENTRY, *order]
        while (reply := self._take(keys=keys_, args=arguments)) == b"more":
            pass  # each time some entries fewer
        if not reply:
            return None
        position, job_id, flat = reply
        self._turn = start + position
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return Taken(order[position - 1], text(job_id), fields)

    def drop(self, taken: Taken) -> None:
        """Strike a job that has ended off the intermediate list."""
        with self._redis.pipeline() as pipeline:
            pipeline.lrem(keys.intermediate(taken.lane), 1, taken.job_id)
            pipeline.hdel(keys.HANDS, self.engine)
            pipeline.execute()

    def wait(self, seconds: int) -> bool:
        """Return when a job may have come, at the latest after ``seconds``; whether the bell rang."""
        return self._redis.blpop([keys.BELL], timeout=seconds) is not None
