"""The quarantine in a real Redis: byte for byte, bounded, atomic."""

import asyncio
from dataclasses import replace

import pytest
import redis
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.quarantine.stream import Quarantine, QuarantineDepth, QuarantineRecord
from ackfirst.shared.queue import keys
from tests.support.callbacks import any_text
from tests.support.redis_process import RedisProcess

RECORD = QuarantineRecord(
    method="POST",
    path="/webhooks/inbound-message",
    query="token=x",
    content_type="application/json",
    authorization="Bearer a.b.c",
    body=b'{"text":"\xff\x00"}',
    received_at=1_772_615_728.25,
    verdict="suspect",
    reason="signature-mismatch",
    account="k7m2p9qa",
    user_agent="Vonage",
    trace="00-1-2-01",
)


def quarantine(client: redis.asyncio.Redis, *, max_records: int = 100, max_bytes: int = 1_000_000) -> Quarantine:
    return Quarantine(client, max_records=max_records, max_bytes=max_bytes)


async def test_a_record_comes_back_as_it_went_in(redis_async: redis.asyncio.Redis) -> None:
    store = quarantine(redis_async)
    assert await store.add(RECORD)
    assert [record for _, record in await store.records(count=10)] == [RECORD]


@given(text=any_text, body=st.binary(), received_at=st.floats(allow_nan=False, allow_infinity=False))
def test_any_bytes_and_any_surrogate_survive_the_codec(text: str, body: bytes, received_at: float) -> None:
    record = replace(RECORD, query=text, authorization=text, account=text, body=body, received_at=received_at)
    assert QuarantineRecord.decode(record.encode()) == record


@pytest.mark.parametrize("fields", [{}, {b"v": b"2"}, {b"v": b"1", b"received_at": b"soon"}])
def test_what_is_no_record_of_a_known_version_is_refused(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match=r"version|float"):
        QuarantineRecord.decode(fields)


async def test_it_takes_no_more_records_than_its_limit_and_keeps_the_oldest(redis_async: redis.asyncio.Redis) -> None:
    store = quarantine(redis_async, max_records=3)
    added = [await store.add(replace(RECORD, body=b"%d" % number)) for number in range(5)]
    assert added == [True, True, True, False, False]
    assert [record.body for _, record in await store.records(count=10)] == [b"0", b"1", b"2"]


async def test_it_takes_no_more_bytes_than_its_limit(redis_async: redis.asyncio.Redis) -> None:
    store = quarantine(redis_async, max_bytes=5000)
    assert await store.add(replace(RECORD, body=b"x" * 3000))
    assert not await store.add(replace(RECORD, body=b"x" * 3000))
    assert await store.add(replace(RECORD, body=b"x" * 100))


async def test_a_record_that_just_fits_is_taken(redis_async: redis.asyncio.Redis) -> None:
    size = sum(len(name) + len(value) for name, value in RECORD.encode().items())
    assert not await quarantine(redis_async, max_bytes=size - 1).add(RECORD)
    assert await quarantine(redis_async, max_bytes=size).add(RECORD)


async def test_the_byte_count_is_the_sum_over_the_records(redis_async: redis.asyncio.Redis) -> None:
    store = quarantine(redis_async)
    await asyncio.gather(*(store.add(replace(RECORD, body=b"x" * number)) for number in range(50)))
    entries = await redis_async.xrange(keys.QUARANTINE)
    held = sum(len(name) + len(value) for _, fields in entries for name, value in fields.items())
    assert await store.depth() == QuarantineDepth(50, held)


async def test_simultaneous_writers_do_not_exceed_the_limit(redis_async: redis.asyncio.Redis) -> None:
    store = quarantine(redis_async, max_records=10)
    added = await asyncio.gather(*(store.add(RECORD) for _ in range(50)))
    assert sum(added) == 10
    assert (await store.depth()).records == 10


async def test_an_empty_quarantine_has_no_depth(redis_async: redis.asyncio.Redis) -> None:
    assert await quarantine(redis_async).depth() == QuarantineDepth(0, 0)


async def test_a_server_that_forgot_the_script_is_told_again(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    store = quarantine(redis_async)
    assert await store.add(RECORD)
    redis_sync.script_flush()
    assert await store.add(RECORD)


async def test_a_server_that_is_gone_is_unavailable(own_redis: RedisProcess) -> None:
    async with own_redis.async_client() as client:
        store = quarantine(client)
        assert await store.add(RECORD)
        own_redis.kill()
        with pytest.raises(QueueUnavailableError):
            await store.add(RECORD)


async def test_a_full_server_is_unavailable(own_redis: RedisProcess) -> None:
    async with own_redis.async_client() as client:
        await client.config_set("maxmemory", "1")
        with pytest.raises(QueueUnavailableError):
            await quarantine(client).add(RECORD)
