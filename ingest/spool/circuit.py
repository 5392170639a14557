"""Decide whether callbacks go to Redis or straight to the spool. No I/O."""

from typing import Final

from redis.exceptions import ResponseError

from ackfirst.ingest.request_log import Log
from ackfirst.shared.errors import QueueUnavailableError

#: Once Redis was too full, its memory must fall below this share of the limit, so that the circuit does not flap.
RELAXED_SHARE: Final = 0.95


class Circuit:
    """Closed: callbacks go to Redis. Open: they go to the spool.

    Args:
        high_water: Share of ``maxmemory`` above which Redis is left to the workers.
        log: Gets a line for every change.
    """

    def __init__(self, *, high_water: float, log: Log) -> None:
        self._high_water = high_water
        self._log = log
        self.reason: str | None = None
        """Why it is open; None while it is closed."""
        self.writable = True
        """True while Redis accepts writes, even slowly, so the spool may drain."""

    @property
    def closed(self) -> bool:
        """Return whether callbacks go to Redis."""
        return self.reason is None

    def fail(self, reason: str) -> None:
        """Note that Redis refused, or did not answer."""
        self.writable = False
        self._open(reason)

    def late(self) -> None:
        """Note that Redis takes writes, but not within the ack deadline."""
        self.writable = True
        self._open("Redis is slower than ACKFIRST_ACK_DEADLINE")

    def well(self, memory: float | None) -> None:
        """Note that Redis takes writes in time.

        Args:
            memory: Share of ``maxmemory`` that it uses; None when unlimited.
        """
        limit = self._high_water * (1.0 if self.closed else RELAXED_SHARE)
        if memory is not None and memory > limit:
            self.writable = False
            self._open(f"Redis uses {memory:.0%} of its maxmemory, more than {self._high_water:.0%}")
            return
        self.writable = True
        if not self.closed:
            self.reason = None
            self._log.info("circuit.closed")

    def _open(self, reason: str) -> None:
        if self.closed:
            self._log.warning("circuit.opened", reason=reason, consequence="events go to the spool on disk")
        self.reason = reason


def is_about_one_event(error: QueueUnavailableError) -> bool:
    """Return whether Redis refuses this event because a key that it needs is of another type; others may pass."""
    cause = error.__cause__
    return isinstance(cause, ResponseError) and "WRONGTYPE" in str(cause)
