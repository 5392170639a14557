"""Group commit: which callbacks share a write, what each waits for, and how a failure affects the others."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from ackfirst.ingest.batcher import BATCH_LIMIT, FLUSH_LIMIT, Batcher, EventQueue
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue.envelope import Envelope
from tests.support.factories import make_envelope
from tests.support.ingest import MemoryQueue
from tests.support.waiting import await_until


class StuckQueue(MemoryQueue):
    """Confirms nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[bool | QueueUnavailableError]:
        result = await super().enqueue(envelopes, now=now)
        await self.released.wait()
        return result


def make_batcher(
    queue: EventQueue, *, deadline: float = 5.0, sizes: list[int] | None = None, backlog: int = 10_000
) -> Batcher:
    told: list[int] = [] if sizes is None else sizes
    return Batcher(queue, deadline=deadline, clock=lambda: 0.0, on_flush=told.append, backlog=backlog)


def put_many(batcher: Batcher, count: int) -> list[asyncio.Task[bool]]:
    return [asyncio.create_task(batcher.put(make_envelope())) for _ in range(count)]


async def test_callbacks_of_one_turn_are_written_in_one_round_trip() -> None:
    queue = MemoryQueue()
    sizes: list[int] = []
    batcher = make_batcher(queue, sizes=sizes)
    assert await asyncio.gather(*put_many(batcher, 50)) == [True] * 50
    assert queue.sizes == sizes == [50]


async def test_a_single_callback_does_not_wait_for_company() -> None:
    queue = MemoryQueue()
    batcher = make_batcher(queue)
    envelope = make_envelope()
    assert await batcher.put(envelope) is True
    assert await batcher.put(envelope) is False
    assert queue.sizes == [1, 1]


async def test_no_batch_is_larger_than_the_limit_and_order_is_kept() -> None:
    queue = MemoryQueue()
    batcher = make_batcher(queue)
    envelopes = [make_envelope() for _ in range(3 * BATCH_LIMIT + 1)]
    await asyncio.gather(*(batcher.put(envelope) for envelope in envelopes))
    assert max(queue.sizes) <= BATCH_LIMIT
    assert [envelope for batch in queue.batches for envelope in batch] == envelopes


async def test_at_most_two_flushes_are_on_their_way() -> None:
    queue = StuckQueue()
    batcher = make_batcher(queue)
    puts = put_many(batcher, 5 * BATCH_LIMIT)
    await await_until(lambda: len(queue.batches) == FLUSH_LIMIT)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(queue.batches) == FLUSH_LIMIT
    queue.released.set()
    assert all(await asyncio.gather(*puts))
    assert sum(queue.sizes) == 5 * BATCH_LIMIT


async def test_a_write_that_is_not_confirmed_in_time_is_unavailable() -> None:
    batcher = make_batcher(StuckQueue(), deadline=0.02)
    with pytest.raises(QueueUnavailableError, match=r"within 0\.02 s"):
        await batcher.put(make_envelope())


async def test_a_callback_that_waits_behind_a_stuck_write_is_told_within_its_own_deadline() -> None:
    queue = StuckQueue()
    batcher = make_batcher(queue, deadline=0.05)
    await asyncio.gather(*put_many(batcher, FLUSH_LIMIT * BATCH_LIMIT), return_exceptions=True)
    began = asyncio.get_running_loop().time()
    with pytest.raises(QueueUnavailableError):
        await batcher.put(make_envelope())
    assert 0.04 <= asyncio.get_running_loop().time() - began < 1.0
    queue.released.set()
    await await_until(lambda: not batcher._flushes)
    assert await batcher.put(make_envelope()) is True, "and goes through once Redis is back"


async def test_a_busy_event_loop_is_not_blamed_on_redis() -> None:
    class Slow(MemoryQueue):
        async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[bool | QueueUnavailableError]:
            await asyncio.sleep(0.005)
            return await super().enqueue(envelopes, now=now)

    queue = Slow()
    batcher = make_batcher(queue, deadline=0.02)
    puts = put_many(batcher, 1)
    for _ in range(3):  # put, flush, sent
        await asyncio.sleep(0)
    assert batcher._flushes
    time.sleep(0.1)  # noqa: ASYNC251 - the loop is busy with something else, the confirmation waits
    assert await asyncio.gather(*puts) == [True]


async def test_a_burst_that_takes_longer_than_the_deadline_in_all_is_confirmed_batch_by_batch() -> None:
    class Slow(MemoryQueue):
        async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[bool | QueueUnavailableError]:
            await asyncio.sleep(0.02)
            return await super().enqueue(envelopes, now=now)

    batcher = make_batcher(Slow(), deadline=0.1)
    results = await asyncio.gather(*put_many(batcher, 16 * BATCH_LIMIT))
    assert all(results)


async def test_an_event_whose_sender_was_told_to_come_back_is_not_sent_any_more() -> None:
    queue = StuckQueue()
    batcher = make_batcher(queue, deadline=0.02)
    results = await asyncio.gather(*put_many(batcher, 4 * BATCH_LIMIT), return_exceptions=True)
    assert all(isinstance(result, QueueUnavailableError) for result in results)
    queue.released.set()
    await batcher.close()
    assert sum(queue.sizes) == FLUSH_LIMIT * BATCH_LIMIT


async def test_the_event_of_a_sender_that_went_away_is_written_all_the_same() -> None:
    queue = StuckQueue()
    batcher = make_batcher(queue)
    puts = put_many(batcher, 3 * BATCH_LIMIT)
    await await_until(lambda: len(queue.batches) == FLUSH_LIMIT)
    for put in puts:
        put.cancel()
    queue.released.set()
    await batcher.close()
    assert sum(queue.sizes) == 3 * BATCH_LIMIT


async def test_a_refused_event_is_refused_alone() -> None:
    class PartlyFull(MemoryQueue):
        async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[bool | QueueUnavailableError]:
            results = await super().enqueue(envelopes, now=now)
            return [*results[:-1], QueueUnavailableError("OOM")]

    results: list[Any] = await asyncio.gather(*put_many(make_batcher(PartlyFull()), 3), return_exceptions=True)
    assert results[:2] == [True, True]
    assert isinstance(results[2], QueueUnavailableError)


async def test_an_event_that_breaks_the_writer_does_not_take_its_neighbours_with_it() -> None:
    class Picky(MemoryQueue):
        async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[bool | QueueUnavailableError]:
            if any(envelope.lane == "poison" for envelope in envelopes):
                raise TypeError("not serialisable")
            return await super().enqueue(envelopes, now=now)

    batcher = make_batcher(Picky())
    envelopes = [make_envelope(), make_envelope(lane="poison"), make_envelope()]
    first, second, third = await asyncio.gather(*map(batcher.put, envelopes), return_exceptions=True)
    assert (first, third) == (True, True)
    assert isinstance(second, TypeError)


async def test_a_dead_server_is_asked_once_a_batch() -> None:
    class Dead(MemoryQueue):
        async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[bool | QueueUnavailableError]:
            await super().enqueue(envelopes, now=now)
            raise QueueUnavailableError("connection refused")

    queue = Dead()
    results = await asyncio.gather(*put_many(make_batcher(queue), 20), return_exceptions=True)
    assert all(isinstance(result, QueueUnavailableError) for result in results)
    assert queue.sizes == [20]


async def test_the_backlog_is_bounded() -> None:
    queue = StuckQueue()
    batcher = make_batcher(queue, backlog=10)
    puts = put_many(batcher, 1)
    await await_until(lambda: queue.sizes == [1])
    puts += put_many(batcher, 1)
    await await_until(lambda: queue.sizes == [1, 1])  # both flushes are under way
    puts += put_many(batcher, 10)
    await asyncio.sleep(0)
    with pytest.raises(QueueUnavailableError, match="10 events already wait"):
        await batcher.put(make_envelope())
    queue.released.set()
    assert all(await asyncio.gather(*puts))


async def test_closing_writes_what_waits() -> None:
    queue = MemoryQueue()
    batcher = make_batcher(queue)
    puts = put_many(batcher, 2 * BATCH_LIMIT)
    await asyncio.sleep(0)
    await batcher.close()
    assert sum(queue.sizes) == 2 * BATCH_LIMIT
    assert all(await asyncio.gather(*puts))
