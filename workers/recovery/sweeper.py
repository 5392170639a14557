"""What RQ's maintenance does for a queue, for all lanes: without its 15-minute lock, and without charging a retry."""

import time
from collections.abc import Callable
from typing import Any, Final

from redis import Redis

from ackfirst.shared.queue import keys
from ackfirst.workers.recovery.rejects import Rejects
from ackfirst.workers.recovery.rescuer import Rescuer
from ackfirst.workers.replies import is_job_id, text

#: Seconds between two sweeps.
PAUSE: Final = 5.0
#: Seconds for which stock RQ workers leave our lanes alone after a sweep.
LOCK: Final = 120
#: Seconds after which a job that nobody of ours has taken is stranded: a stock worker starts what it takes long before.
STRANDED: Final = 30.0
#: The cause of death of a worker that is not ours.
OVERDUE: Final = "no end within the time of the job (timeout)"
#: Most entries of one list that are looked at in one sweep.
CHUNK: Final = 500


class Sweeper:
    """Rescues the jobs that no engine of ours holds, and drops what has expired. ``clock`` gives monotonic seconds."""

    def __init__(
        self, redis: Redis, rescuer: Rescuer, rejects: Rejects, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._rescuer = rescuer
        self._rejects = rejects
        self._clock = clock
        self._next = 0.0
        self._first_seen: dict[tuple[str, bytes], float] = {}

    def sweep(self, now: float) -> None:
        """Sweep all lanes, if it is time to; ``now`` in Unix seconds."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + PAUSE
        lanes = [text(lane) for lane in self._redis.smembers(keys.LANES)]
        for lane in lanes:
            self._drop_expired(lane, now)
            self._rescue_overdue(lane, now)
        self._rescue_stranded(lanes, now)
        self._drop_dead_workers(lanes)

    def _drop_expired(self, lane: str, now: float) -> None:
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.set(keys.maintenance_lock(lane), "ackfirst", ex=LOCK)
            for registry in (keys.finished(lane), keys.failed(lane)):
                pipeline.zremrangebyscore(registry, 0, now)
            pipeline.execute()

    def _rescue_overdue(self, lane: str, now: float) -> None:
        overdue: list[bytes] = self._redis.zrangebyscore(keys.running(lane), 0, now, start=0, num=CHUNK)  # type: ignore[assignment]
        for entry in overdue:
            job_id, _, execution = entry.rpartition(b":")
            if is_job_id(job_id) and is_job_id(execution):
                owner = text(entry)
                self._rescuer.rescue(lane, text(job_id), "overdue", owner=owner, cause=OVERDUE, now=now)
            else:
                self._rejects.put(lane, "running", entry, "not <job id>:<execution id>")

    def _rescue_stranded(self, lanes: list[str], now: float) -> None:
        found: set[Any] = {
            (lane, entry) for lane in lanes for entry in self._redis.lrange(keys.intermediate(lane), 0, CHUNK)
        }
        self._first_seen = {one: self._first_seen.get(one, self._clock()) for one in found}
        for (lane, entry), since in self._first_seen.items():
            if self._clock() - since < STRANDED:
                continue
            if is_job_id(entry):
                cause = "taken, but never started"
                self._rescuer.rescue(lane, text(entry), "stranded", owner="", cause=cause, now=now)
            else:
                self._rejects.put(lane, "taken", entry, "no job id")

    def _drop_dead_workers(self, lanes: list[str]) -> None:
        """Forget workers whose hash has expired, as ``rq/worker_registration.py`` does."""
        names = list(self._redis.smembers(keys.RQ_WORKERS))
        with self._redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.exists(name)
            gone = [name for name, exists in zip(names, pipeline.execute(), strict=True) if not exists]
            for name in gone:
                pipeline.srem(keys.RQ_WORKERS, name)
                for lane in lanes:
                    pipeline.srem(f"rq:workers:{keys.queue_name(lane)}", name)
            pipeline.execute()
