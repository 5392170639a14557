"""Puts retries that are due back into their lanes."""

from typing import Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import rq_time
from ackfirst.shared.queue.rejects import LIMIT, LONGEST_ENTRY
from ackfirst.workers.engine.lanes import JOB_PREFIX
from ackfirst.workers.replies import text
from ackfirst.workers.scripts import script

#: Most retries that one call of the script moves: Redis serves nobody else meanwhile.
CHUNK: Final = 500


class Promoter:
    """Does for all lanes what RQ's scheduler does for one queue: atomically, and across an outage."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._promote = script(redis, "promote")

    def promote(self, now: float) -> int:
        """Move every retry that is due at ``now`` (Unix seconds); how many there were."""
        lanes = [text(lane) for lane in self._redis.smembers(keys.LANES)]
        return sum(self._promote_lane(lane, now) for lane in lanes)

    def _promote_lane(self, lane: str, now: float) -> int:
        total = 0
        while True:
            promoted, seen = self._promote(
                keys=[keys.scheduled(lane), keys.queue(lane), keys.BELL, keys.REJECTS, keys.READY],
                args=[now, CHUNK, keys.BELL_LIMIT, JOB_PREFIX, rq_time(now), lane, LIMIT, LONGEST_ENTRY],
            )
            total += int(promoted)
            if seen < CHUNK:
                return total
