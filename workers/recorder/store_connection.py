"""Open the store for the recorder, again and again while it does not answer."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.store import Store
from ackfirst.workers.unavailable import LOG_INTERVAL_SECONDS

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Pauses before the store is tried again, doubling.
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0


class StoreConnection:
    """Opens the store, with pauses that grow while it does not answer, and logs an outage once a minute."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        *,
        log: "FilteringBoundLogger",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock`` gives monotonic seconds."""
        self._open = open_store
        self._log = log
        self._clock = clock
        self._store: Store | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._next = self._next_line = float("-inf")
        self._since: float | None = None

    def open(self) -> Store | None:
        """Return the opened store; None if it does not answer, or is not to be asked yet."""
        if self._clock() < self._next:
            return None
        try:
            self._store = self._open()
        except ConfigurationError as error:  # such as tables of a newer version: only a person can help, queue and
            self.failed(error)  # handlers go on without the record
        return self._store

    def failed(self, error: Exception) -> None:
        """Note that the store does not do its work."""
        now = self._clock()
        self._since = now if self._since is None else self._since
        self._next = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        if now >= self._next_line:
            self._next_line = now + LOG_INTERVAL_SECONDS
            self._log.warning("record.unavailable", error=str(error), waited_seconds=round(now - self._since, 1))

    def succeeded(self) -> None:
        """Note that the store does its work."""
        if self._since is not None:
            self._log.info("record.available", waited_seconds=round(self._clock() - self._since, 1))
            self._since, self._pause, self._next_line = None, FIRST_PAUSE_SECONDS, float("-inf")

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()
            self._store = None
