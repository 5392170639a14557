"""Group commit: callbacks that arrive together are written together, each is answered when its write is confirmed."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

from ingest.watchdog import Watchdog
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


@dataclass(slots=True, eq=False)
class _Flush:
    """A batch on its way; ``given_up`` once its senders have been told to come back."""

    sent: float
    members: Sequence["_Done"]
    given_up: bool = field(default=False)


_Done = asyncio.Future[bool]


class Batcher:
    """Collects envelopes for one turn of the event loop and writes them in one round trip.

    Args:
        queue: Where batches go.
        deadline: Seconds that Redis may take to confirm a batch; whoever waits behind one that takes longer is told to
            come back after as many seconds.
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
        self._overdue = f"Redis did not confirm the write within {deadline:g} s"
        self._watchdog = Watchdog(deadline=deadline, look=self._give_up)
        self._clock = clock
        self._on_flush = on_flush
        self._backlog = backlog
        self._waiting: dict[_Done, tuple[Envelope, float]] = {}
        self._flushes: dict[asyncio.Task[None], _Flush] = {}
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
        done: _Done = loop.create_future()
        self._waiting[done] = envelope, loop.time()
        self._schedule()
        if self.is_stuck():
            self._watchdog.watch(loop.time())
        return await done

    def is_stuck(self) -> bool:
        """Whether a batch is still under way that was given up: what is put now may wait behind it."""
        return any(flush.given_up for flush in self._flushes.values())

    def _give_up(self, limit: float) -> float | None:
        """Tell senders to come back whose batch was sent before ``limit``, and those that wait behind one as long."""
        for flush in self._flushes.values():
            if flush.sent <= limit and not flush.given_up:
                flush.given_up = True
                _settle_all(flush.members, QueueUnavailable(self._overdue))
        if self.is_stuck():
            late = [done for done, (_, since) in self._waiting.items() if since <= limit]
            for done in late:
                del self._waiting[done]  # not on its way yet, and it will be sent again
            _settle_all(late, QueueUnavailable(self._overdue))
        return self._next_beginning()

    def _next_beginning(self) -> float | None:
        beginnings = [flush.sent for flush in self._flushes.values() if not flush.given_up]
        if self.is_stuck():
            beginnings += [since for _, since in islice(self._waiting.values(), 1)]
        return min(beginnings, default=None)

    def _schedule(self) -> None:
        if self._tick is None and len(self._flushes) < FLUSH_LIMIT:
            self._tick = asyncio.get_running_loop().call_soon(self._start_flush)

    def _start_flush(self) -> None:
        self._tick = None
        batch = list(islice(self._waiting, BATCH_LIMIT))
        if not batch:
            return
        envelopes = [self._waiting.pop(done)[0] for done in batch]
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._flush(batch, envelopes))
        self._flushes[task] = _Flush(loop.time(), batch)
        self._watchdog.watch(loop.time())
        task.add_done_callback(self._end_flush)
        if self._waiting:
            self._schedule()

    def _end_flush(self, task: asyncio.Task[None]) -> None:
        del self._flushes[task]
        if self._waiting:
            self._schedule()

    async def _flush(self, batch: list[_Done], envelopes: list[Envelope]) -> None:
        self._on_flush(len(batch))
        for done, result in zip(batch, await self._write(envelopes), strict=True):
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
        self._watchdog.stop()


def _settle_all(members: Iterable[_Done], result: Result) -> None:
    for done in members:
        _settle(done, result)


def _settle(done: _Done, result: Result) -> None:
    if done.done():
        return
    if isinstance(result, Exception):
        done.set_exception(result)
        done.exception()  # marks it as seen: its caller may have gone away
    else:
        done.set_result(result)
