"""Store verified events: in Redis, or on disk while Redis cannot take them."""

from typing import Protocol

from ackfirst.ingest.spool.circuit import Circuit, is_about_one_event
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue.envelope import Envelope


class Primary(Protocol):
    """The way to Redis."""

    async def put(self, envelope: Envelope) -> bool:
        """Make an event durable; raises ``QueueUnavailableError``."""


class Fallback(Protocol):
    """The way to the disk."""

    async def put(self, envelope: Envelope) -> None:
        """Make an event durable; raises ``QueueUnavailableError``."""


class FallbackSink:
    """An ``EventSink`` that goes to ``fallback`` when ``primary`` fails, and at once while the circuit is open."""

    def __init__(self, primary: Primary, fallback: Fallback, circuit: Circuit) -> None:
        self._primary = primary
        self._fallback = fallback
        self._circuit = circuit
        self.arrivals = 0
        """Events so far: the drain makes room while callbacks wait for an answer."""

    async def put(self, envelope: Envelope) -> bool | None:
        """Make an event durable: True new, False seen before, None when it is on disk and neither is known.

        Raises:
            QueueUnavailableError: It may be durable in neither place.
        """
        self.arrivals += 1
        if not self._circuit.closed:
            return await self._spool_first(envelope)
        try:
            return await self._primary.put(envelope)
        except QueueUnavailableError as error:
            if not is_about_one_event(error):
                self._circuit.fail(str(error))
            await self._fallback.put(envelope)
        return None

    async def _spool_first(self, envelope: Envelope) -> bool | None:
        try:
            await self._fallback.put(envelope)
        except QueueUnavailableError:  # a Redis that is too full or too slow is better than none
            return await self._primary.put(envelope)
        return None
