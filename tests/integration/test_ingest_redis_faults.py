"""Ingest answers while Redis is frozen, dead, full or read-only, and queues every event afterwards."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator

import pytest

from ackfirst.shared.queue import keys
from tests.support.factories import LANE, inbound_message
from tests.support.ingest import Ingest, Reply, running_ingest
from tests.support.redis_process import RedisProcess
from tests.support.waiting import await_until


def body(number: int) -> bytes:
    return json.dumps(inbound_message(message_uuid=f"uuid-{number}")).encode()


def queued(server: RedisProcess) -> int:
    with server.client() as client:
        return int(client.llen(keys.queue(LANE)))


@pytest.fixture
async def ingest(own_redis: RedisProcess) -> AsyncIterator[Ingest]:
    async with running_ingest(own_redis.url, ACK_DEADLINE="0.25") as running:
        yield running


async def timed(ingest: Ingest, number: int, **claims: str) -> tuple[Reply, float]:
    started = time.monotonic()
    return await ingest.post_signed(body(number), **claims), time.monotonic() - started


async def works_again(ingest: Ingest) -> bool:
    return (await ingest.post_signed(body(999))).status == 200


async def test_what_cannot_be_parked_in_a_frozen_redis_is_answered_503_within_the_deadline(
    ingest: Ingest, own_redis: RedisProcess
) -> None:
    claims = {"api_key": "ffffffff"}
    assert (await ingest.post_signed(body(0), **claims)).status == 200
    own_redis.pause()
    try:
        replies = await asyncio.gather(*(timed(ingest, number, **claims) for number in range(1, 20)))
    finally:
        own_redis.resume()
    assert {reply.status for reply, _ in replies} == {503}
    assert {reply.headers["Retry-After"] for reply, _ in replies} == {"5"}
    assert all(0.2 < seconds < 2 for _, seconds in replies)  # the deadline is 0.25 s
    await await_until(lambda: works_again(ingest))


async def test_a_frozen_redis_costs_the_deadline_once_and_every_event_is_queued_once(
    ingest: Ingest, own_redis: RedisProcess
) -> None:
    own_redis.pause()
    try:
        replies = await asyncio.gather(*(timed(ingest, number) for number in range(100)))
        later = [await timed(ingest, number) for number in range(100, 120)]
    finally:
        own_redis.resume()
    assert {reply.status for reply, _ in replies + later} == {200}
    usual = statistics.median(seconds for _, seconds in later)
    assert usual < 0.2, "the circuit is open: nobody waits for the deadline"
    await await_until(lambda: queued(own_redis) == 120)
    assert {reply.status for reply in await post_all(ingest, 120)} == {200}
    await await_until(lambda: nothing_spooled(ingest))
    assert queued(own_redis) == 120


async def post_all(ingest: Ingest, count: int) -> list[Reply]:
    return await asyncio.gather(*(ingest.post_signed(body(number)) for number in range(count)))


async def nothing_spooled(ingest: Ingest) -> bool:
    spool = json.loads((await ingest.admin("/readyz")).body)["spool"]
    return (spool["records"], spool["circuit"]) == (0, "closed")


async def test_a_killed_redis_is_not_waited_for_and_every_event_is_queued_when_it_is_back(
    own_redis: RedisProcess,
) -> None:
    async with running_ingest(own_redis.url, ACK_DEADLINE="9") as ingest:
        assert {reply.status for reply in await post_all(ingest, 50)} == {200}
        own_redis.kill()
        reply, seconds = await timed(ingest, 100)
        assert (reply.status, seconds < 5) == (200, True)
        assert ingest.log.of("callback.received")[-1]["reason"] == "spooled"
        assert ingest.log.verdicts[-1] == "verified"
        own_redis.start()
        await await_until(lambda: queued(own_redis) == 51)
        assert [line["level"] for line in ingest.log.of("circuit.opened")] == ["warning"]


@pytest.mark.parametrize(("setting", "value", "back"), [("maxmemory", "1", "0"), ("min-replicas-to-write", "3", "0")])
async def test_a_redis_that_refuses_writes_is_waited_for(
    ingest: Ingest, own_redis: RedisProcess, setting: str, value: str, back: str
) -> None:
    with own_redis.client() as client:
        client.config_set(setting, value)
        assert (await ingest.post_signed(body(1))).status == 200
        assert queued(own_redis) == 0
        assert (await ingest.post_signed(body(1), api_key="ffffffff")).status == 503
        client.config_set(setting, back)
    await await_until(lambda: queued(own_redis) == 1)
    assert (await ingest.post_signed(body(1))).status == 200
    assert queued(own_redis) == 1


async def test_ingest_is_ready_without_redis_as_long_as_the_spool_has_room(
    ingest: Ingest, own_redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ackfirst.ingest.snapshot.MAX_AGE", 0.0)
    monkeypatch.setattr("ackfirst.ingest.snapshot.REST", 0)
    assert (await ingest.admin("/readyz")).status == 200
    own_redis.pause()
    try:
        reply = await ingest.admin("/readyz")
        assert (reply.status, json.loads(reply.body)["redis"]) == (200, {"ok": False, "latency_ms": None})
        assert b"ackfirst_redis_up 0.0" in (await ingest.admin("/metrics")).body
        assert (await ingest.send("GET", "/healthz")).status == 200
    finally:
        own_redis.resume()
    await await_until(lambda: is_ready(ingest))


async def is_ready(ingest: Ingest) -> bool:
    return (await ingest.admin("/readyz")).status == 200
