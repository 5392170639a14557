"""The janitor: a process of every worker pool that keeps the queue in order. One of them works, the others stand by."""

import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from redis import Redis
from redis.exceptions import RedisError

from ackfirst.shared.queue import keys
from ackfirst.workers.patience import OUTAGES, Patience
from ackfirst.workers.recovery.generation_watch import GenerationWatch
from ackfirst.workers.recovery.lease import Lease
from ackfirst.workers.recovery.liveness import Death, Watch
from ackfirst.workers.recovery.redis_clock import Corrector, Reference
from ackfirst.workers.recovery.rescuer import Rescuer
from ackfirst.workers.replies import text

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Seconds between two rounds.
ROUND: Final = 0.5
#: Seconds for which the lease holds: that long retries and rescues wait when a janitor was killed.
LEASE: Final = 5.0


class Janitor:
    """Rescues the jobs of dead engines and does the chores, round after round, through every outage.

    Each of the ``chores`` is called once a round with the Unix time, by the one janitor that has the lease. ``wall``
    gives Unix seconds, ``clock`` monotonic ones.
    """

    def __init__(
        self,
        redis: Redis,
        lease: Lease,
        rescuer: Rescuer,
        chores: Sequence[Callable[[float], object]],
        *,
        generation: GenerationWatch,
        corrector: Corrector,
        reference: Reference,
        patience: Patience,
        wall: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._redis = redis
        self._lease = lease
        self._rescuer = rescuer
        self._chores = chores
        self._generation = generation
        self._corrector = corrector
        self._reference = reference
        self._watch = Watch()
        self._patience = patience
        self._wall = wall
        self._clock = clock
        self._sleep = sleep
        self._stop_requested = False
        self._log: FilteringBoundLogger = structlog.get_logger("ackfirst.workers.recovery.janitor")

    def stop(self) -> None:
        """End after this round; may be called by a signal handler."""
        self._stop_requested = True

    def run(self) -> None:
        """Work until ``stop``, then give the lease back."""
        try:
            while not self._stop_requested:
                self._patience(self.round)
                self._sleep(ROUND)
        finally:
            self._release()

    def round(self) -> None:
        """Watch the engines; if it is our turn, do what there is to do."""
        if self._stop_requested:
            return
        deaths = self._deaths()
        step = self._corrector.look()
        if self._lease.hold():
            now = self._wall()
            self._corrector.correct(step)
            self._reference.calibrate()
            for death in deaths:
                self._try(partial(self._rescuer.see_to, death, now))
            for chore in self._chores:
                self._try(partial(chore, now))

    def _try(self, step: Callable[[], object]) -> None:
        """Take a step; what a stranger wrote into Redis may spoil it, but not the others."""
        try:
            step()
        except OUTAGES:
            raise
        except Exception:  # noqa: BLE001 - see above
            self._log.exception("janitor.failed")

    def _deaths(self) -> list[Death]:
        # A full or read-only Redis ends the round here: silence is not death then.
        self._redis.incr(keys.ROUNDS)
        self._try(self._generation.look)
        beats = {text(engine): text(beat) for engine, beat in self._redis.hgetall(keys.ENGINES).items()}
        return self._watch.look(beats, self._clock())

    def _release(self) -> None:
        # Without Redis it simply runs out.
        with contextlib.suppress(RedisError):
            self._lease.release()
