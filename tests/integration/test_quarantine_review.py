"""Reading the quarantine and taking records out, in a real Redis: nothing skipped, and the bytes always add up."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import redis
import redis.asyncio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.quarantine.review import PAGE, QuarantineReview
from ackfirst.shared.quarantine.stream import Quarantine, QuarantineDepth
from ackfirst.shared.queue import keys
from tests.support.quarantined import message, quarantine
from tests.support.redis_process import RedisProcess

MAX_RECORDS, MAX_BYTES = 6, 4000


def bodies(entries: list[Any]) -> list[bytes]:
    return [entry.record.body for entry in entries]


async def test_every_record_comes_once_in_either_direction_over_many_pages(redis_async: redis.asyncio.Redis) -> None:
    count = PAGE * 2
    await quarantine(redis_async, (replace(message(), body=b"%d" % number) for number in range(count)))
    review = QuarantineReview(redis_async)
    oldest = [entry async for entry in review.oldest_first()]
    newest = [entry async for entry in review.newest_first()]
    assert bodies(oldest) == [b"%d" % number for number in range(count)]
    assert oldest == newest[::-1]
    assert await review.depth() == QuarantineDepth(count, sum(entry.bytes for entry in oldest))


async def test_what_arrives_while_it_reads_is_left_for_the_next_time(redis_async: redis.asyncio.Redis) -> None:
    await quarantine(redis_async, map(message, range(PAGE + 1)))
    seen = 0
    async for entry in QuarantineReview(redis_async).oldest_first():
        await quarantine(redis_async, [message(1)])
        await QuarantineReview(redis_async).remove([entry.id])
        seen += 1
    assert seen == PAGE + 1
    assert (await QuarantineReview(redis_async).depth()).records == PAGE + 1


async def test_a_record_of_another_release_is_shown_as_unknown_and_can_be_removed(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    redis_sync.xadd(keys.QUARANTINE, {"v": "9", "shape": "unheard of"})
    redis_sync.incrby(keys.QUARANTINE_BYTES, 17)
    review = QuarantineReview(redis_async)
    [entry] = [entry async for entry in review.oldest_first()]
    assert (entry.record, entry.bytes) == (None, 17)
    assert entry.parked_at > 1_700_000_000
    assert await review.remove([entry.id]) == QuarantineDepth(1, 17)
    assert await review.depth() == QuarantineDepth(0, 0)


async def test_one_record_is_found_by_its_id_alone(redis_async: redis.asyncio.Redis) -> None:
    await quarantine(redis_async, map(message, range(3)))
    review = QuarantineReview(redis_async)
    entries = [entry async for entry in review.oldest_first()]
    assert await review.get(entries[1].id) == entries[1]
    for nobody in ("1-1", "-", "+", "", "x", entries[1].id.partition("-")[0], "9" * 40 + "-0"):
        assert await review.get(nobody) is None


async def test_simultaneous_removals_count_each_record_once(redis_async: redis.asyncio.Redis) -> None:
    await quarantine(redis_async, map(message, range(20)))
    review = QuarantineReview(redis_async)
    before = await review.depth()
    ids = [entry.id async for entry in review.oldest_first()]
    gone = await asyncio.gather(*(review.remove(ids) for _ in range(10)))
    assert sum(one.records for one in gone) == 20
    assert sum(one.bytes for one in gone) == before.bytes
    assert await review.depth() == QuarantineDepth(0, 0)


async def test_a_server_that_forgot_the_script_is_told_again(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    await quarantine(redis_async, map(message, range(2)))
    review = QuarantineReview(redis_async)
    for entry in [entry async for entry in review.oldest_first()]:
        redis_sync.script_flush()
        assert (await review.remove([entry.id])).records == 1


async def test_a_server_that_is_gone_is_unavailable(own_redis: RedisProcess) -> None:
    async with own_redis.async_client() as client:
        await quarantine(client, [message()])
        review = QuarantineReview(client)
        own_redis.kill()
        client.set_retry(Retry(NoBackoff(), 0))
        for question in (review.depth(), review.get("1-1"), review.remove(["1-1"]), anext(review.oldest_first())):
            with pytest.raises(QueueUnavailableError):
                await question


def test_whatever_is_added_and_removed_the_bytes_add_up_and_the_caps_hold(redis_server: RedisProcess) -> None:
    class Bounded(RuleBasedStateMachine):
        """Adds and removals in any order, against a plain list."""

        def __init__(self) -> None:
            super().__init__()
            self.loop = asyncio.Runner()
            self.client = redis_server.async_client()
            self.loop.run(self.client.flushall())
            self.quarantine = Quarantine(self.client, max_records=MAX_RECORDS, max_bytes=MAX_BYTES)
            self.review = QuarantineReview(self.client)
            self.sizes: dict[str, int] = {}

        @rule(body=st.binary(max_size=2000))
        def add(self, body: bytes) -> None:
            record = replace(message(), body=body)
            size = sum(len(name) + len(value) for name, value in record.encode().items())
            fits = len(self.sizes) < MAX_RECORDS and sum(self.sizes.values()) + size <= MAX_BYTES
            assert self.loop.run(self.quarantine.add(record)) is fits
            if fits:
                newest = self.loop.run(anext(self.review.newest_first()))
                self.sizes[newest.id] = size

        @rule(data=st.data(), strangers=st.integers(0, 2))
        def remove(self, data: st.DataObject, strangers: int) -> None:
            chosen = data.draw(st.lists(st.sampled_from(sorted(self.sizes) or ["1-1"]), max_size=4))
            gone = self.loop.run(self.review.remove([*chosen, *["2-2"] * strangers]))
            sizes = [self.sizes.pop(one) for one in set(chosen) if one in self.sizes]
            assert gone == QuarantineDepth(len(sizes), sum(sizes))

        @invariant()
        def the_count_is_the_sum(self) -> None:
            depth = self.loop.run(self.review.depth())
            assert depth == QuarantineDepth(len(self.sizes), sum(self.sizes.values()))

        def teardown(self) -> None:
            self.loop.run(self.client.aclose())
            self.loop.close()

    run_state_machine_as_test(Bounded, settings=settings(max_examples=25, stateful_step_count=20))
