"""Run the periodic tasks that keep the queue in order; of all janitors, one works and the others stand by."""

import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from redis import Redis
from redis.exceptions import RedisError

from ackfirst.shared.queue import keys
from ackfirst.workers.lease import Lease
from ackfirst.workers.periodic_task import PeriodicTask
from ackfirst.workers.recovery.generation_watch import GenerationWatch
from ackfirst.workers.recovery.liveness import Death, LivenessTracker
from ackfirst.workers.recovery.redis_clock import RedisClock
from ackfirst.workers.recovery.rescuer import Rescuer
from ackfirst.workers.replies import text
from ackfirst.workers.unavailable import OUTAGES, Retry

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Time between two rounds.
ROUND_SECONDS: Final = 0.5


class Janitor:
    """Recovers the jobs of dead engines and runs the tasks, round after round, through every outage."""

    def __init__(
        self,
        redis: Redis,
        lease: Lease,
        rescuer: Rescuer,
        tasks: Sequence[PeriodicTask],
        *,
        generation: GenerationWatch,
        clock: RedisClock,
        retry: Retry,
    ) -> None:
        self._redis = redis
        self._lease = lease
        self._rescuer = rescuer
        self._tasks = tasks
        self._generation = generation
        self._clock = clock
        self._liveness = LivenessTracker()
        self._retry = retry
        self._stop_requested = False
        self._log: FilteringBoundLogger = structlog.get_logger("ackfirst.workers.recovery.janitor")

    def stop(self) -> None:
        """End after this round; may be called by a signal handler."""
        self._stop_requested = True

    def run(self) -> None:
        """Work until ``stop``, then give the lease back."""
        try:
            while not self._stop_requested:
                self._retry(self.round)
                time.sleep(ROUND_SECONDS)
        finally:
            with contextlib.suppress(RedisError):  # without Redis the lease simply runs out
                self._lease.release()

    def round(self) -> None:
        """Observe the engines; with the lease, recover and run the tasks."""
        if self._stop_requested:
            return
        deaths = self._deaths()
        if self._lease.hold():
            self._clock.calibrate()
            now = self._clock.now()
            for death in deaths:
                self._try(partial(self._rescuer.recover, death, now))
            for task in self._tasks:
                self._try(partial(task, now))

    def _try(self, step: Callable[[], object]) -> None:
        """Take a step; unexpected data in Redis may fail it, but not the others."""
        try:
            step()
        except OUTAGES:
            raise
        except Exception:  # noqa: BLE001 - see above
            self._log.exception("janitor.failed")

    def _deaths(self) -> list[Death]:
        # A full or read-only Redis refuses this write and ends the round: silence is not death then.
        self._redis.incr(keys.ROUNDS)
        self._try(self._generation.look)
        entries = {text(engine): text(entry) for engine, entry in self._redis.hgetall(keys.ENGINES).items()}
        return self._liveness.observe(entries, time.monotonic())
