"""Group commit: write callbacks that arrive together in one round trip, and answer each when its write is confirmed."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ackfirst.ingest.cancellation import cancel_all
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue.envelope import Envelope

#: Most events in one round trip: about 2 ms of Redis' time.
BATCH_LIMIT: Final = 256

#: Most batches under way: one is on its way to the disk while the next one is being sent.
FLUSH_LIMIT: Final = 2

#: Most events that may wait for a flush. Reached only while Redis hangs; beyond it the answer is "unavailable" at once.
BACKLOG_LIMIT: Final = 16_384

#: Share of the deadline by which its timer may ring late before our event loop is to blame, not Redis: the reply may be
#: waiting in the socket. Then there is one more look, after the same time.
LATE_SHARE: Final = 0.2

#: Seconds by which a timer may ring early: event loops count in milliseconds.
EARLY_SECONDS: Final = 0.002

Written = bool | QueueUnavailableError


class EventQueue(Protocol):
    """Takes batches. One result an envelope: True new, False seen before, or why it could not be written."""

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> Sequence[Written]:
        """Write them in one round trip; ``now`` in Unix seconds."""


@dataclass(slots=True, eq=False)
class _Pending:
    """An event that was put, and the future that its caller awaits."""

    envelope: Envelope
    since: float
    """The loop's clock when it was put."""
    done: asyncio.Future[bool]

    def resolve(self, result: Written | Exception) -> None:
        """Give the caller its result, unless it has one already or has gone away."""
        if self.done.done():
            return
        if isinstance(result, Exception):
            self.done.set_exception(result)
            self.done.exception()  # marks it as seen: its caller may go away before it looks
        else:
            self.done.set_result(result)


@dataclass(slots=True, eq=False)
class _Flush:
    """A batch on its way to Redis."""

    sent: float
    members: Sequence[_Pending]
    is_given_up: bool = False
    """Whether its callers were given ``QueueUnavailableError`` already."""


class Batcher:
    """Collects envelopes for one turn of the event loop and writes them in one round trip.

    Args:
        queue: Takes the batches.
        deadline: Seconds that Redis may take to confirm a batch. Past it, the batch's callers are given
            ``QueueUnavailableError``; so are callers that have waited as long behind such a batch.
        clock: Unix seconds, for the jobs' ``enqueued_at``.
        on_flush: Called with the size of every batch that is sent.
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
        self._deadline = _Deadline(deadline, self._give_up)
        self._clock = clock
        self._on_flush = on_flush
        self._backlog = backlog
        self._waiting: deque[_Pending] = deque()
        self._flushes: dict[asyncio.Task[None], _Flush] = {}
        self._given_up = 0
        self._tick: asyncio.Handle | None = None

    async def put(self, envelope: Envelope) -> bool:
        """Make an event durable: True when it is new, False when it was seen before.

        A caller that goes away does not stop its event from being written.

        Raises:
            QueueUnavailableError: It was refused, or not confirmed within the deadline. An event that was already sent
                may still be written; writing it again is harmless.
        """
        if len(self._waiting) >= self._backlog:
            raise QueueUnavailableError(f"{self._backlog} events already wait for Redis")
        loop = asyncio.get_running_loop()
        now, done = loop.time(), loop.create_future()
        self._waiting.append(_Pending(envelope, now, done))
        if self._tick is None:
            self._schedule()
        if self._given_up:
            self._deadline.watch(now)
        result: bool = await done
        return result

    def is_stuck(self) -> bool:
        """Return whether a batch that was given up is still under way: what is put now may wait behind it."""
        return self._given_up > 0

    async def close(self) -> None:
        """Write what waits, and return when all of it is confirmed or refused."""
        while self._waiting or self._flushes:
            self._schedule()
            await asyncio.wait(self._flushes) if self._flushes else await asyncio.sleep(0)
        self._deadline.stop()

    async def abandon(self, *, within: float) -> None:
        """Cancel what Redis has not confirmed, in so many seconds: nothing may connect to it once more."""
        self._deadline.stop()
        await cancel_all(list(self._flushes), within=within)

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
        self._deadline.watch(loop.time())
        task.add_done_callback(self._end_flush)
        if waiting:
            self._schedule()

    def _end_flush(self, task: asyncio.Task[None]) -> None:
        self._given_up -= self._flushes.pop(task).is_given_up
        if self._waiting:
            self._schedule()

    async def _flush(self, batch: list[_Pending]) -> None:
        self._on_flush(len(batch))
        for pending, result in zip(batch, await self._write([one.envelope for one in batch]), strict=True):
            pending.resolve(result)

    async def _write(self, envelopes: list[Envelope]) -> Sequence[Written | Exception]:
        try:
            return await self._queue.enqueue(envelopes, now=self._clock())
        except QueueUnavailableError as error:
            return [error] * len(envelopes)
        except Exception as error:  # noqa: BLE001 - every waiting callback must be answered, whatever it is
            if len(envelopes) == 1:
                return [error]
        # One event that cannot be written must not take its neighbours with it.
        return [result for envelope in envelopes for result in await self._write([envelope])]

    def _give_up(self, limit: float) -> float | None:
        """Fail what was sent before ``limit``, and what has waited as long behind it; return what is due next."""
        overdue: list[_Pending] = []
        for flush in self._flushes.values():
            if flush.sent <= limit and not flush.is_given_up:
                flush.is_given_up = True
                self._given_up += 1
                overdue += flush.members
        while self._given_up and self._waiting and self._waiting[0].since <= limit:
            overdue.append(self._waiting.popleft())  # not sent yet: the provider's retry will bring it again
        for pending in overdue:
            pending.resolve(QueueUnavailableError(self._overdue))
        return min(self._beginnings(), default=None)

    def _beginnings(self) -> Iterable[float]:
        yield from (flush.sent for flush in self._flushes.values() if not flush.is_given_up)
        if self._given_up and self._waiting:
            yield self._waiting[0].since


class _Deadline:
    """One timer for the deadline of all batches. It measures what Redis takes, not what our event loop takes.

    Args:
        seconds: The deadline.
        on_overdue: Called with the time on the loop's clock before which whatever began is overdue; returns the
            beginning of what is overdue next, None for nothing.
    """

    def __init__(self, seconds: float, on_overdue: Callable[[float], float | None]) -> None:
        self._seconds = seconds
        self._on_overdue = on_overdue
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, began: float) -> None:
        """Look when what began then is overdue, unless an earlier look is planned."""
        if self._timer is None:
            self._ring_at(began + self._seconds)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring_at(self, due: float, *, is_patient: bool = True) -> None:
        self._timer = asyncio.get_running_loop().call_at(due, self._ring, due, is_patient)

    def _ring(self, due: float, is_patient: bool) -> None:  # noqa: FBT001 - an argument of ours, through call_at
        now, late = asyncio.get_running_loop().time(), LATE_SHARE * self._seconds
        self._timer = None
        if is_patient and now - due > late:
            self._ring_at(now + late, is_patient=False)
            return
        following = self._on_overdue(now - self._seconds + EARLY_SECONDS)
        if following is not None:
            self.watch(following)
