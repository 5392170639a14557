"""Redis first, the disk when Redis cannot: an ``EventSink`` that almost always can."""

from collections.abc import Callable
from typing import Protocol

from ackfirst.ingest.spool.circuit import Circuit, is_about_one_event
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue.envelope import Envelope


class Primary(Protocol):
    """The way to Redis."""

    async def put(self, envelope: Envelope) -> bool:
        """Make an event durable; raises ``QueueUnavailableError``."""

    def offer(self, envelope: Envelope, told: Callable[[bool | Exception], None]) -> bool:
        """``put`` for who has no coroutine; False when it does not take the event on."""


class Fallback(Protocol):
    """The way to the disk."""

    async def put(self, envelope: Envelope) -> None:
        """Make an event durable; raises ``QueueUnavailableError``."""


class FallbackSink:
    """Goes to ``fallback`` when ``primary`` fails, and at once while the circuit is open."""

    def __init__(self, primary: Primary, fallback: Fallback, circuit: Circuit) -> None:
        self._primary = primary
        self._fallback = fallback
        self._circuit = circuit
        self.arrivals = 0
        """Events so far: by it others see whether somebody is waiting for an answer."""

    async def put(self, envelope: Envelope) -> bool | None:
        """Make an event durable: True new, False seen before, None when it is on disk and neither is known.

        Raises:
            QueueUnavailableError: It may be durable in neither place.
        """
        self.arrivals += 1
        if not self._circuit.closed:
            return await self._spool_or_try(envelope)
        try:
            return await self._primary.put(envelope)
        except QueueUnavailableError as error:
            await self.rescue(envelope, error)
        return None

    def offer(self, envelope: Envelope, told: Callable[[bool | Exception], None]) -> bool:
        """``put`` for who has no coroutine: ``told`` hears the result once, an error as one; it is for ``rescue`` then.

        False while only ``put`` can help: nobody is told anything.
        """
        if not self._circuit.closed or not self._primary.offer(envelope, told):
            return False
        self.arrivals += 1
        return True

    async def rescue(self, envelope: Envelope, error: Exception) -> None:
        """Make an event durable on disk that Redis has not taken.

        Raises:
            QueueUnavailableError: It may be durable in neither place.
            Exception: ``error`` itself, when it is not about Redis.
        """
        if not isinstance(error, QueueUnavailableError):
            raise error
        if not is_about_one_event(error):
            self._circuit.fail(str(error))
        await self._fallback.put(envelope)

    async def _spool_or_try(self, envelope: Envelope) -> bool | None:
        try:
            await self._fallback.put(envelope)
        except QueueUnavailableError:  # a Redis that is too full or too slow is better than none
            return await self._primary.put(envelope)
        return None
