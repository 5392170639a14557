"""Writing events to a real server: once each, in one round trip, and safe to repeat."""

import asyncio
import time

import pytest
import redis
import redis.asyncio

from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.dedupe import place
from ackfirst.shared.queue.enqueue import Enqueuer
from ackfirst.shared.queue.job import JobOptions
from tests.support.factories import NOW, make_envelope
from tests.support.redis_process import RedisProcess

OPTIONS = JobOptions(timeout=180, result_ttl=300, failure_ttl=604800, retry_intervals=(5, 30))


def enqueuer(client: redis.asyncio.Redis, dedupe_seconds: int = 3600) -> Enqueuer:
    return Enqueuer(client, OPTIONS, dedupe_seconds=dedupe_seconds)


async def test_a_new_event_waits_in_its_lane_with_its_job(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    envelope = make_envelope(lane="orders")
    assert await enqueuer(redis_async).enqueue([envelope], now=NOW) == [True]
    assert redis_sync.lrange("rq:queue:ackfirst-orders", 0, -1) == [envelope.id.encode()]
    assert redis_sync.hget(f"rq:job:{envelope.id}", "status") == b"queued"
    assert redis_sync.smembers(keys.LANES) == {b"orders"}
    assert redis_sync.smembers(keys.RQ_QUEUES) == {b"rq:queue:ackfirst-orders"}
    assert redis_sync.llen(keys.BELL) == 1


async def test_the_same_event_is_queued_once_within_a_batch_and_across_batches(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    envelope = make_envelope(lane="orders")
    writer = enqueuer(redis_async)
    assert await writer.enqueue([envelope, envelope], now=NOW) == [True, False]
    assert await writer.enqueue([envelope], now=NOW) == [False]
    assert redis_sync.llen("rq:queue:ackfirst-orders") == 1


async def test_events_wait_in_the_order_in_which_they_came(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    envelopes = [make_envelope(lane="orders") for _ in range(5)]
    await enqueuer(redis_async).enqueue(envelopes[:3], now=NOW)
    await enqueuer(redis_async).enqueue(envelopes[3:], now=NOW)
    waiting = redis_sync.lrange(keys.queue("orders"), 0, -1)
    assert waiting == [envelope.id.encode() for envelope in envelopes]


async def test_many_writers_at_once_queue_an_event_once(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    envelope = make_envelope(lane="orders")
    writer = enqueuer(redis_async)
    results = await asyncio.gather(*(writer.enqueue([envelope], now=NOW) for _ in range(20)))
    assert sorted(results) == [[False]] * 19 + [[True]]


async def test_an_event_that_was_processed_is_remembered_for_the_dedupe_window(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    envelope = make_envelope()
    writer = enqueuer(redis_async, dedupe_seconds=259200)
    await writer.enqueue([envelope], now=NOW)
    redis_sync.delete(keys.job(envelope.id), keys.queue(envelope.lane))
    assert await writer.enqueue([envelope], now=NOW) == [False]
    [remembered] = redis_sync.keys(f"{keys.seen_prefix(86_400)}*")
    assert 259_200 <= redis_sync.ttl(remembered) <= 345_600, "the window at the least, four thirds of it at the most"


async def test_an_event_is_forgotten_after_the_window_and_not_before(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    envelope = make_envelope()
    writer = enqueuer(redis_async, dedupe_seconds=3)
    began = time.monotonic()
    results = [await writer.enqueue([envelope], now=NOW)]
    while results[-1] == [False] or len(results) == 1:
        redis_sync.delete(keys.job(envelope.id), keys.queue(envelope.lane))
        results.append(await writer.enqueue([envelope], now=NOW))
        assert time.monotonic() - began < 20
        await asyncio.sleep(0.05)
    assert 3 <= time.monotonic() - began <= 5 + 2, "the window, and up to a third more"


async def test_an_event_of_the_period_before_or_after_is_known(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    writer = enqueuer(redis_async, dedupe_seconds=259_200)
    current = redis_sync.time()[0] // 86_400
    found = {}
    for number in range(current - 4, current + 3):
        envelope = make_envelope()
        bucket, member = place(envelope.id)
        redis_sync.sadd(keys.seen(86_400, number, bucket), member)
        [found[number - current]] = await writer.enqueue([envelope], now=NOW)
    assert found == {-4: True, -3: False, -2: False, -1: False, 0: False, 1: False, 2: True}


async def test_a_dead_letter_that_outlived_the_window_is_not_overwritten(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    envelope = make_envelope()
    redis_sync.hset(keys.job(envelope.id), "status", "failed")
    assert await enqueuer(redis_async).enqueue([envelope], now=NOW) == [False]
    assert redis_sync.hget(keys.job(envelope.id), "status") == b"failed"


async def test_the_bell_stays_bounded_when_nobody_answers_it(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    await enqueuer(redis_async).enqueue([make_envelope() for _ in range(keys.BELL_LIMIT * 2)], now=NOW)
    assert redis_sync.llen(keys.BELL) == keys.BELL_LIMIT


async def test_a_server_that_forgot_the_script_is_taught_again(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    writer = enqueuer(redis_async)
    await writer.enqueue([make_envelope()], now=NOW)
    redis_sync.script_flush()
    assert await writer.enqueue([make_envelope(), make_envelope()], now=NOW) == [True, True]


async def test_a_refused_event_is_told_apart_and_the_others_are_written(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    redis_sync.set("rq:queue:ackfirst-broken", "not a list")
    good, bad = make_envelope(lane="orders"), make_envelope(lane="broken")
    results = await enqueuer(redis_async).enqueue([bad, good], now=NOW)
    assert isinstance(results[0], QueueUnavailableError)
    assert results[1] is True
    [remembered] = redis_sync.keys("ackfirst:seen:*")
    bucket, member = place(good.id)
    assert remembered.decode().endswith(bucket), "an event that was not queued must not be remembered as seen"
    assert redis_sync.smembers(remembered) == {member.encode()}


@pytest.mark.parametrize("command", ["hset", "sadd", "rpush"])
async def test_an_event_whose_write_fails_midway_is_queued_once_by_a_later_attempt(
    own_redis: RedisProcess, command: str
) -> None:
    envelope = make_envelope(lane="orders")
    with own_redis.client() as client:
        async with own_redis.async_client() as async_client:
            writer = enqueuer(async_client)
            client.execute_command("ACL", "SETUSER", "default", f"-{command}")
            attempts = [await writer.enqueue([envelope], now=NOW) for _ in range(2)]
            client.execute_command("ACL", "SETUSER", "default", f"+{command}")
            assert await writer.enqueue([envelope], now=NOW) == [True]
        assert all(isinstance(attempt[0], QueueUnavailableError) for attempt in attempts)
        assert client.lrange(keys.queue("orders"), 0, -1) == [envelope.id.encode()]


async def test_a_full_server_refuses_without_writing_a_part(own_redis: RedisProcess) -> None:
    with own_redis.client() as client:
        client.config_set("maxmemory", "1")
        async with own_redis.async_client() as async_client:
            [result] = await enqueuer(async_client).enqueue([make_envelope()], now=NOW)
        assert isinstance(result, QueueUnavailableError)
        assert client.dbsize() == 0


async def test_a_server_that_is_gone_is_queue_unavailable(own_redis: RedisProcess) -> None:
    client = redis.asyncio.Redis(unix_socket_path=str(own_redis.socket), retry=None)
    await client.ping()
    own_redis.kill()
    with pytest.raises(QueueUnavailableError):
        await enqueuer(client).enqueue([make_envelope()], now=NOW)
    await client.aclose()


async def test_what_was_confirmed_survives_a_kill_of_the_server(own_redis: RedisProcess) -> None:
    envelopes = [make_envelope(lane="orders") for _ in range(50)]
    async with own_redis.async_client() as client:
        assert await enqueuer(client).enqueue(envelopes, now=NOW) == [True] * 50
    own_redis.kill()
    own_redis.start()
    with own_redis.client() as client:
        assert client.llen("rq:queue:ackfirst-orders") == 50
