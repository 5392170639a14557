"""Puts retries that are due back into their lanes."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from redis import Redis

from shared import keys
from workers.lanes import JOB_PREFIX
from workers.replies import text
from workers.scripts import script

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Most retries that one call of the script moves: Redis serves nobody else meanwhile.
CHUNK: Final = 500


class Promoter:
    """Does for all lanes what RQ's scheduler does for one queue: atomically, and across an outage."""

    def __init__(self, redis: Redis, *, log: "FilteringBoundLogger") -> None:
        self._redis = redis
        self._promote = script(redis, "promote")
        self._log = log

    def promote(self, now: float) -> int:
        """Move every retry that is due at ``now`` (Unix seconds); how many there were."""
        lanes = [text(lane) for lane in self._redis.smembers(keys.LANES)]
        return sum(self._promote_lane(lane, now) for lane in lanes)

    def _promote_lane(self, lane: str, now: float) -> int:
        total = 0
        while moved := self._promote_some(lane, now):
            total += moved
        return total

    def _promote_some(self, lane: str, now: float) -> int:
        promoted, *vanished = self._promote(
            keys=[keys.scheduled(lane), keys.queue(lane), keys.BELL],
            args=[now, CHUNK, keys.BELL_LIMIT, JOB_PREFIX, rq_time(now)],
        )
        for job_id in vanished:
            self._log.warning("retry.vanished", job_id=text(job_id), lane=lane)
        return int(promoted)


def rq_time(now: float) -> str:
    """Unix seconds as RQ writes them in a job hash (rq/utils.py: ``utcformat``)."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
