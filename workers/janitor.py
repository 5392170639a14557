"""The janitor: a process of every worker pool that keeps the queue in order. One of them works, the others stand by."""

import contextlib
import time
from collections.abc import Callable
from typing import Final

from redis.exceptions import RedisError

from workers.lease import Lease
from workers.patience import Patience
from workers.promoter import Promoter

#: Seconds between two rounds.
ROUND: Final = 0.5
#: Seconds for which the lease holds: that long retries wait when a janitor was killed.
LEASE: Final = 10.0


class Janitor:
    """Promotes due retries, round after round, through every outage of Redis. ``wall`` gives Unix seconds."""

    def __init__(
        self,
        lease: Lease,
        promoter: Promoter,
        *,
        patience: Patience,
        wall: Callable[[], float],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lease = lease
        self._promoter = promoter
        self._patience = patience
        self._wall = wall
        self._sleep = sleep
        self._stop_requested = False

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
        """One round, if it is our turn."""
        if not self._stop_requested and self._lease.hold():
            self._promoter.promote(self._wall())

    def _release(self) -> None:
        # Without Redis it simply runs out.
        with contextlib.suppress(RedisError):
            self._lease.release()
