"""Whether callbacks go to Redis or to the spool at once: two facts about Redis, and what changes them. No I/O."""

from typing import Final

from redis.exceptions import ResponseError

from ackfirst.ingest.request_log import Log
from ackfirst.shared.errors import QueueUnavailableError

#: Once Redis was too full, its memory must fall below this share of the limit: it must not go to and fro.
RELAXED: Final = 0.95


class Circuit:
    """Closed: callbacks go to Redis. Open: they go to the spool.

    Args:
        high_water: Share of ``maxmemory`` above which Redis is left to the workers.
        log: Is told of every change.
    """

    def __init__(self, *, high_water: float, log: Log) -> None:
        self._high_water = high_water
        self._log = log
        self.reason: str | None = None
        """Why it is open; None while it is closed."""
        self.writable = True
        """Whether Redis takes writes, be it slowly: what waits in the spool may go."""

    @property
    def closed(self) -> bool:
        """Whether callbacks go to Redis."""
        return self.reason is None

    def fail(self, reason: str) -> None:
        """Redis refused, or did not answer."""
        self.writable = False
        self._open(reason)

    def late(self) -> None:
        """Redis takes writes, but not within the ack deadline."""
        self.writable = True
        self._open("Redis is slower than ACKFIRST_ACK_DEADLINE")

    def well(self, memory: float | None) -> None:
        """Redis takes writes in time; ``memory`` is the share of ``maxmemory`` that it uses, None when unlimited."""
        limit = self._high_water * (1.0 if self.closed else RELAXED)
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
    """Whether Redis refuses this event alone, because a key that it needs is of another type; others may pass."""
    cause = error.__cause__
    return isinstance(cause, ResponseError) and "WRONGTYPE" in str(cause)
