"""Let go of finished jobs that nothing else lets go of, so that the record never fills Redis."""

from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import RESULT_TTL_SECONDS, rq_time
from ackfirst.shared.queue.record import ACKNOWLEDGED, OFF_AT
from ackfirst.workers.scripts import script

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Lanes of one call of the script, jobs of one lane in it, and calls of one sweep.
LANES_A_CALL: Final = 100
JOBS_A_CALL: Final = 500
CALLS_A_SWEEP: Final = 200
#: Time between two sweeps.
SWEEP_SECONDS: Final = 10.0
#: Time by which a job must have ended before the oldest entry of the stream to be let go: its own entry is recorded, or
#: it has none. A stock worker writes the entry before it ends the job, so the recorder finds the job unfinished.
MARGIN_SECONDS: Final = 60.0


class HeldJobs:
    """Sweeps the finished jobs of all lanes, in the janitor.

    With the record on, those that the recorder has passed: of stock workers, or of an engine whose entry was lost with
    Redis's newest writes. With the record off, all, unless a recorder of another pool is at work.
    """

    def __init__(self, redis: Redis, *, is_recorded: bool, log: "FilteringBoundLogger") -> None:
        self._redis = redis
        self._is_recorded = is_recorded
        self._log = log
        self._let_go = script(redis, "let_go")

    def sweep(self, now: float) -> int:
        """Let go of what is due at ``now`` (Unix seconds); return how many jobs that were."""
        if self._is_recorded:
            return self._sweep(self._recorded_until(now) - MARGIN_SECONDS, now)
        if self._redis.exists(keys.RECORDER_LEASE):
            return 0
        entries = int(self._redis.xlen(keys.RECORD))
        if entries:
            if self._redis.hsetnx(keys.RECORDER, OFF_AT, now):  # what comes from now on is a gap, if it is on again
                self._redis.hset(keys.RECORDER, ACKNOWLEDGED, self._redis.get(keys.ACKNOWLEDGED) or 0)
            self._redis.delete(keys.RECORD)
        jobs = self._sweep(now, now)
        if entries or jobs:
            hint = "the record is off: what was not recorded yet is not recorded"
            self._log.warning("record.let-go", entries=entries, jobs=jobs, hint=hint)
        return jobs

    def _recorded_until(self, now: float) -> float:
        """Return Unix seconds up to which everything is recorded."""
        rows: Any = self._redis.xrange(keys.RECORD, count=1)
        return int(rows[0][0].partition(b"-")[0]) / 1000 if rows else now

    def _sweep(self, ended_before: float, now: float) -> int:
        released, cursor = 0, 0
        for _ in range(CALLS_A_SWEEP):
            cursor, some = self._let_go(
                keys=[keys.LANES],
                args=[
                    *(cursor, LANES_A_CALL, JOBS_A_CALL, keys.JOB_PREFIX, keys.finished(""), keys.results("")),
                    *(keys.HELD_SECONDS, ended_before, rq_time(ended_before), now, RESULT_TTL_SECONDS),
                ],
            )
            released += some
            if not int(cursor):
                break
        return released
