"""Group commit: callbacks that arrive together are written together, each is answered when its write is confirmed."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, Protocol

from shared.envelope import Envelope
from shared.errors import QueueUnavailable

#: Most events in one round trip: about 2 ms of Redis' time.
BATCH_LIMIT: Final = 256

#: One batch is on its way to the disk while the next one is being sent.
FLUSH_LIMIT: Final = 2

#: Most events that may wait for a flush. Reached only while Redis hangs; beyond it the answer is "unavailable" at once.
BACKLOG_LIMIT: Final = 16_384

Written = bool | QueueUnavailable
Result = Written | Exception


class EventQueue(Protocol):
    """Where batches go. One result an envelope: True new, False seen before, or why it could not be written."""

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> Sequence[Written]:
        """Write them in one round trip; ``now`` in Unix seconds."""


class Batcher:
    """Collects envelopes for one turn of the event loop and writes them in one round trip.

    Args:
        queue: Where batches go.
        deadline: Longest wait of one ``put``, in seconds.
        clock: Unix seconds, for the jobs' ``enqueued_at``.
        on_flush: Is told the size of every batch that is sent.
        backlog: Most events that wait for a flush.
    """

    def __init__(
        self,
        queue: EventQueue,
        *,
        deadline: float,
        clock: Callable[[], float],
        on_flush: Callable[[int], None],
        backlog: int = BACKLOG_LIMIT,
    ) -> None:
        self._queue = queue
        self._deadline = deadline
        self._clock = clock
        self._on_flush = on_flush
        self._backlog = backlog
        self._waiting: dict[asyncio.Future[bool], Envelope] = {}
        self._flushes: set[asyncio.Task[None]] = set()
        self._tick: asyncio.Handle | None = None

    async def put(self, envelope: Envelope) -> bool:
        """Make an event durable: True when it is new, False when it was seen before.

        A caller that goes away does not stop its event from being written.

        Raises:
            QueueUnavailable: It was refused, or not confirmed within the deadline. An event that was already sent may
                still be written; writing it again is harmless.
        """
        if len(self._waiting) >= self._backlog:
            raise QueueUnavailable(f"{self._backlog} events already wait for Redis")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()
        self._waiting[done] = envelope
        self._schedule()
        timer = loop.call_later(self._deadline, self._give_up, done)  # a third of the price of asyncio.timeout
        try:
            return await done
        finally:
            timer.cancel()

    def _give_up(self, done: asyncio.Future[bool]) -> None:
        """The sender hears "unavailable" and will send it again: an event that is not on its way yet need not go."""
        self._waiting.pop(done, None)
        _settle(done, QueueUnavailable(f"Redis did not confirm the write within {self._deadline:g} s"))

    def _schedule(self) -> None:
        if self._tick is None and len(self._flushes) < FLUSH_LIMIT:
            self._tick = asyncio.get_running_loop().call_soon(self._start_flush)

    def _start_flush(self) -> None:
        self._tick = None
        batch = dict(islice(self._waiting.items(), BATCH_LIMIT))
        if not batch:
            return
        for done in batch:
            del self._waiting[done]
        flush = asyncio.get_running_loop().create_task(self._flush(batch))
        self._flushes.add(flush)
        flush.add_done_callback(self._end_flush)
        if self._waiting:
            self._schedule()

    def _end_flush(self, flush: asyncio.Task[None]) -> None:
        self._flushes.discard(flush)
        if self._waiting:
            self._schedule()

    async def _flush(self, batch: dict[asyncio.Future[bool], Envelope]) -> None:
        self._on_flush(len(batch))
        for done, result in zip(batch, await self._write(list(batch.values())), strict=True):
            _settle(done, result)

    async def _write(self, envelopes: list[Envelope]) -> Sequence[Result]:
        try:
            return await self._queue.enqueue(envelopes, now=self._clock())
        except QueueUnavailable as error:
            return [error] * len(envelopes)
        except Exception as error:  # noqa: BLE001 - every waiting callback must hear of it, whatever it is
            if len(envelopes) == 1:
                return [error]
        # One event that cannot be written must not take its neighbours with it.
        return [result for envelope in envelopes for result in await self._write([envelope])]

    async def close(self) -> None:
        """Write what waits, and return when all of it is confirmed or refused."""
        while self._waiting or self._flushes:
            self._schedule()
            await asyncio.wait(self._flushes) if self._flushes else await asyncio.sleep(0)


def _settle(done: asyncio.Future[bool], result: Result) -> None:
    if done.done():
        return
    if isinstance(result, Exception):
        done.set_exception(result)
        done.exception()  # marks it as seen: its caller may have gone away
    else:
        done.set_result(result)
