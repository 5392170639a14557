"""A graceful stop: what was read is answered, what was answered is durable, nothing waits for idle clients."""

import asyncio
import json
import time

import aiohttp
import pytest
import redis

from ackfirst.shared.queue import keys
from tests.support.factories import LANE, inbound_message
from tests.support.ingest import Ingest, running_ingest, signed_headers
from tests.support.raw_http import head, raw_connection
from tests.support.redis_process import RedisProcess
from tests.support.waiting import await_until


def body(number: int) -> bytes:
    return json.dumps(inbound_message(message_uuid=f"uuid-{number}")).encode()


async def post_until_closed(ingest: Ingest, client: int, acknowledged: list[bytes]) -> None:
    for number in range(100_000):
        sent = body(client * 1_000_000 + number)
        try:
            reply = await ingest.post_signed(sent)
        except aiohttp.ClientError:
            return
        assert reply.status == 200
        acknowledged.append(sent)


async def test_a_stop_under_load_loses_nothing_that_was_acknowledged(redis_url: str, redis_sync: redis.Redis) -> None:
    acknowledged: list[bytes] = []
    async with running_ingest(redis_url) as ingest:
        clients = [asyncio.create_task(post_until_closed(ingest, client, acknowledged)) for client in range(20)]
        await await_until(lambda: len(acknowledged) > 200)
        await ingest.server.stop()
        await asyncio.wait_for(asyncio.gather(*clients), 10)
    queued = redis_sync.llen(keys.queue(LANE))
    assert len(acknowledged) <= queued <= len(acknowledged) + len(clients)


async def test_a_request_whose_body_is_on_its_way_is_answered_before_the_end(
    redis_url: str, redis_sync: redis.Redis
) -> None:
    sent = body(1)
    lines = [f"{name}: {value}" for name, value in signed_headers(sent).items()]
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(head(*lines, f"Content-Length: {len(sent)}") + sent[:10])
        await await_until(lambda: ingest.server.addresses and in_flight(ingest) == 1)
        stopping = asyncio.create_task(ingest.server.stop())
        await await_until(lambda: refuses(ingest.port))
        await sender.send(sent[10:])
        reply = await sender.rest()
        await stopping
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in reply
    assert redis_sync.llen(keys.queue(LANE)) == 1


def in_flight(ingest: Ingest) -> int:
    assert ingest.server.edge is not None
    return ingest.server.edge.open_requests


async def refuses(port: int) -> bool:
    try:
        async with raw_connection(port):
            return False
    except ConnectionError:
        return True


async def test_idle_connections_do_not_hold_up_the_stop(redis_url: str) -> None:
    async with (
        running_ingest(redis_url) as ingest,
        raw_connection(ingest.port) as silent,
        raw_connection(ingest.port) as idle,
    ):
        await idle.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await idle.status() == 200
        started = time.monotonic()
        await ingest.server.stop()
        assert time.monotonic() - started < 5
        assert await silent.rest() == b""


@pytest.mark.parametrize("grace", ["0.3"])
async def test_a_slow_body_cannot_hold_up_the_stop_longer_than_the_grace(redis_url: str, grace: str) -> None:
    async with running_ingest(redis_url, STOP_GRACE=grace) as ingest, raw_connection(ingest.port) as slow:
        await slow.send(head("Content-Length: 100") + b"x")
        await await_until(lambda: in_flight(ingest) == 1)
        started = time.monotonic()
        await ingest.server.stop()
        assert time.monotonic() - started < 4


async def test_a_stop_while_redis_is_frozen_connects_to_it_no_more(own_redis: RedisProcess) -> None:
    with own_redis.client() as client:
        before = len(client.client_list())
        async with running_ingest(own_redis.url, STOP_GRACE="1", ACK_DEADLINE="0.05") as ingest:
            assert (await ingest.post_signed(body(1))).status == 200
            own_redis.pause()
            for number in range(2, 6):
                assert (await ingest.post_signed(body(number))).status == 200, "from the spool"
            assert (await ingest.post_signed(body(9), secret="no-secret-of-ours-at-all-not-at-all")).status == 503
            await ingest.server.stop()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            assert not [task for task in tasks if "redis" in repr(task) or "_flush" in repr(task)]
        own_redis.resume()
        await await_until(lambda: len(client.client_list()) <= before)
