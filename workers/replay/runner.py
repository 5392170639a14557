"""Drive all replays that run, step by step.

The cursor of a replay is in Redis, where one script moves it together with the events that it queues; the store has the
definition, and a copy of the progress for those who look. A runner that is killed at any moment is replaced by one that
reads the cursor.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from redis import Redis

from ackfirst.shared.queue.job import JobOptions
from ackfirst.shared.replay.mover import CursorMovedError, Mover
from ackfirst.shared.store import Replay, Store, StoreUnavailableError
from ackfirst.workers.replay.drive import Places, ReplayDrive
from ackfirst.workers.replay.traffic import LiveTraffic
from ackfirst.workers.unavailable import LOG_INTERVAL_SECONDS, OUTAGES

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Seconds that one step may take: the recorder has other work.
STEP_SECONDS: Final = 0.1
#: Replays that are looked at: the newest.
LISTED: Final = 100


class ReplayRunner:
    """Drives replays from one thread of one process. ``clock`` gives monotonic seconds.

    A second one, in a process that has lost its lease and does not know it yet, does no harm: the script that queues
    asks for the cursor.
    """

    def __init__(
        self,
        redis: Redis,
        store: Store,
        options: JobOptions,
        *,
        log: "FilteringBoundLogger",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = Places(redis, store, Mover(redis, options), LiveTraffic(redis, clock=clock), log, clock)
        self._log = log
        self._clock = clock
        self._drives: dict[str, ReplayDrive] = {}
        self._next_line = float("-inf")

    def step(self, now: float) -> None:
        """Queue what may be queued now (Unix seconds) of each replay that runs.

        Takes about ``STEP_SECONDS`` at most. An outage of Redis or the store ends the step, and the next one goes on.
        """
        try:
            replays = [one for one in self._places.store.replays(LISTED) if one.state == "running"]
            self._drives = {one.id: self._drives.get(one.id) or ReplayDrive(self._places, since=now) for one in replays}
            deadline = self._clock() + STEP_SECONDS
            for replay in reversed(replays):
                self._go_on(replay, now, deadline)
        except (StoreUnavailableError, *OUTAGES) as error:
            if self._clock() >= self._next_line:
                self._next_line = self._clock() + LOG_INTERVAL_SECONDS
                self._log.warning("replay.waits", error=f"{type(error).__name__}: {error}")

    def _go_on(self, replay: Replay, now: float, deadline: float) -> None:
        """Drive one replay; what it cannot cope with pauses it, and holds up neither the others nor the recorder."""
        drive = self._drives[replay.id]
        try:
            drive.go_on(replay, now, deadline)
        except (StoreUnavailableError, *OUTAGES):
            raise
        except CursorMovedError as error:
            self._log.info("replay.moved-by-another", replay=replay.id, detail=str(error))
        except Exception as error:  # noqa: BLE001 - such as an event that a newer release has recorded
            self._log.exception("replay.failed", replay=replay.id)
            drive.pause(replay, f"cannot go on: {type(error).__name__}: {error}", now)
