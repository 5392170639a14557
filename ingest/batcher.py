"""Group commit: callbacks that arrive together are written together, each is answered when its write is confirmed."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from ackfirst.ingest.ending import end
from ackfirst.ingest.watchdog import Watchdog
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue.envelope import Envelope

#: Most events in one round trip: about 2 ms of Redis' time.
BATCH_LIMIT: Final = 256

#: One batch is on its way to the disk while the next one is being sent.
FLUSH_LIMIT: Final = 2

#: Most events that may wait for a flush. Reached only while Redis hangs; beyond it the answer is "unavailable" at once.
BACKLOG_LIMIT: Final = 16_384

Written = bool | QueueUnavailableError
Result = Written | Exception


class EventQueue(Protocol):
    """Where batches go. One result an envelope: True new, False seen before, or why it could not be written."""

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> Sequence[Written]:
        """Write them in one round trip; ``now`` in Unix seconds."""


Told = Callable[[Result], None]
"""Is told what became of one event: once, and it does not raise."""


@dataclass(slots=True, eq=False)
class _Member:
    """An event, and who is to be told; nobody once that is done."""

    envelope: Envelope
    since: float
    """The loop's clock when it was put."""
    told: Told | None


@dataclass(slots=True, eq=False)
class _Flush:
    """A batch on its way; ``given_up`` once its senders have been told to come back."""

    sent: float
    members: Sequence[_Member]
    given_up: bool = field(default=False)


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
        self._waiting: deque[_Member] = deque()
        self._flushes: dict[asyncio.Task[None], _Flush] = {}
        self._stuck = 0
        self._tick: asyncio.Handle | None = None

    async def put(self, envelope: Envelope) -> bool:
        """Make an event durable: True when it is new, False when it was seen before.

        A caller that goes away does not stop its event from being written.

        Raises:
            QueueUnavailableError: It was refused, or not confirmed within the deadline. An event that was already sent
                may still be written; writing it again is harmless.
        """
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if not self.offer(envelope, partial(_resolve, done)):
            raise QueueUnavailableError(f"{self._backlog} events already wait for Redis")
        return await done

    def offer(self, envelope: Envelope, told: Told) -> bool:
        """``put`` for who has no coroutine; False, and nobody is told anything, when too many wait already."""
        if len(self._waiting) >= self._backlog:
            return False
        now = asyncio.get_running_loop().time()
        self._waiting.append(_Member(envelope, now, told))
        if self._tick is None:
            self._schedule()
        if self._stuck:
            self._watchdog.watch(now)
        return True

    def is_stuck(self) -> bool:
        """Whether a batch is still under way that was given up: what is put now may wait behind it."""
        return self._stuck > 0

    def _give_up(self, limit: float) -> float | None:
        """Tell senders to come back whose batch was sent before ``limit``, and those that wait behind one as long."""
        late: list[_Member] = []
        for flush in self._flushes.values():
            if flush.sent <= limit and not flush.given_up:
                flush.given_up = True
                self._stuck += 1
                late += flush.members
        while self._stuck and self._waiting and self._waiting[0].since <= limit:
            late.append(self._waiting.popleft())  # not on its way yet, and it will be sent again
        _settle_all(late, QueueUnavailableError(self._overdue))
        return self._next_beginning()

    def _next_beginning(self) -> float | None:
        beginnings = [flush.sent for flush in self._flushes.values() if not flush.given_up]
        if self._stuck and self._waiting:
            beginnings.append(self._waiting[0].since)
        return min(beginnings, default=None)

    def _schedule(self) -> None:
        if self._tick is None and len(self._flushes) < FLUSH_LIMIT:
            self._tick = asyncio.get_running_loop().call_soon(self._start_flush)

    def _start_flush(self) -> None:
        self._tick = None
        waiting = self._waiting
        batch = [waiting.popleft() for _ in range(min(len(waiting), BATCH_LIMIT))]
        if not batch:
            return
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._flush(batch))
        self._flushes[task] = _Flush(loop.time(), batch)
        self._watchdog.watch(loop.time())
        task.add_done_callback(self._end_flush)
        if waiting:
            self._schedule()

    def _end_flush(self, task: asyncio.Task[None]) -> None:
        self._stuck -= self._flushes.pop(task).given_up
        if self._waiting:
            self._schedule()

    async def _flush(self, batch: list[_Member]) -> None:
        self._on_flush(len(batch))
        for member, result in zip(batch, await self._write([member.envelope for member in batch]), strict=True):
            _settle(member, result)

    async def _write(self, envelopes: list[Envelope]) -> Sequence[Result]:
        try:
            return await self._queue.enqueue(envelopes, now=self._clock())
        except QueueUnavailableError as error:
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

    async def abandon(self, *, within: float) -> None:
        """Give up what Redis has not confirmed, in so many seconds: nothing may connect to it once more."""
        self._watchdog.stop()
        await end(list(self._flushes), within=within)


def _settle_all(members: Iterable[_Member], result: Result) -> None:
    for member in members:
        _settle(member, result)


def _settle(member: _Member, result: Result) -> None:
    told, member.told = member.told, None
    if told is not None:
        told(result)


def _resolve(done: asyncio.Future[bool], result: Result) -> None:
    if done.done():  # its caller has gone away
        return
    if isinstance(result, Exception):
        done.set_exception(result)
        done.exception()  # marks it as seen: its caller may go away before it looks
    else:
        done.set_result(result)
