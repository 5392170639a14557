"""Requests at the edge of HTTP: a genuine callback in them is answered, and nothing tells which library answers."""

import asyncio
import json
from urllib.parse import urlencode

import pytest
import redis

from ackfirst.shared.queue import keys
from tests.support.factories import API_KEY, LANE, inbound_message
from tests.support.ingest import running_ingest, signed_headers
from tests.support.nexmo import signed
from tests.support.raw_http import head, raw_connection

SMS = {"msisdn": "447700900417", "to": "12015550142", "messageId": "0C0000009D3E71A4", "type": "text"}


def callback(number: int = 0, *lines: str) -> bytes:
    body = json.dumps(inbound_message(message_uuid=f"uuid-{number}")).encode()
    headers = [f"{name}: {value}" for name, value in signed_headers(body).items()]
    return head(*headers, f"Content-Length: {len(body)}", *lines) + body


async def test_the_callback_behind_one_that_asks_for_an_upgrade_is_answered(
    redis_url: str, redis_sync: redis.Redis
) -> None:
    upgrade = callback(1, "Connection: Upgrade", "Upgrade: h2c")
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(upgrade + callback(2))
        assert [await sender.status() for _ in range(2)] == [200, 200]
        await sender.send(upgrade)
        assert await sender.status() == 200
        await sender.send(callback(3))
        assert await sender.status() == 200
    assert redis_sync.llen(keys.queue(LANE)) == 3


async def test_a_query_with_8_bit_characters_is_judged(redis_url: str, redis_sync: redis.Redis) -> None:
    query = "&".join(f"{name}={value}" for name, value in signed({**SMS, "text": "café"}).items())
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        for _ in range(2):
            await sender.send(head(method="GET", path=f"/webhooks/inbound-sms?{query}"))
            assert await sender.status() == 200
        assert ingest.log.verdicts == ["verified", "duplicate"]
    assert redis_sync.llen(keys.queue(API_KEY)) == 1


async def test_however_the_network_cuts_a_query_with_8_bit_characters_it_is_judged(
    redis_url: str, redis_sync: redis.Redis
) -> None:
    query = "&".join(f"{name}={value}" for name, value in signed({**SMS, "text": "café"}).items())
    request = head(method="GET", path=f"/webhooks/inbound-sms?{query}")
    accent = request.index("é".encode())
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        for cut in (1, accent - 1, accent, accent + 1, accent + 2, len(request) - 1):
            await sender.send(request[:cut])
            await asyncio.sleep(0.02)  # so that it is a segment of its own
            await sender.send(request[cut:])
            assert await sender.status() == 200, cut
        await sender.send(request + request)
        assert [await sender.status() for _ in range(2)] == [200, 200]
        assert ingest.log.verdicts == ["verified", *["duplicate"] * 7]


async def test_bytes_behind_a_callback_that_came_in_pieces_do_not_take_it_with_them(
    redis_url: str, redis_sync: redis.Redis
) -> None:
    request = callback()
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(request[:40])
        await asyncio.sleep(0.02)
        await sender.send(request[40:] + b"\x00\x01\x02")
        assert await sender.status() == 200
    assert redis_sync.llen(keys.queue(LANE)) == 1


@pytest.mark.parametrize("stray", [b"\x00\x01\x02", b"abc", b"\r\n\r\n\xff"])
async def test_bytes_behind_a_complete_callback_do_not_take_it_with_them(
    stray: bytes, redis_url: str, redis_sync: redis.Redis
) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(callback() + stray)
        assert await sender.status() == 200
    assert redis_sync.llen(keys.queue(LANE)) == 1


async def test_an_sms_of_700_emoji_may_come_by_get(redis_url: str, redis_sync: redis.Redis) -> None:
    query = urlencode(signed({**SMS, "text": "\U0001f600" * 700}))
    assert len(query) > 8190
    async with running_ingest(redis_url) as ingest:
        assert (await ingest.send("GET", f"/webhooks/inbound-sms?{query}")).status == 200
    assert redis_sync.llen(keys.queue(API_KEY)) == 1


async def test_a_request_line_beyond_our_own_limit_is_refused_with_a_line(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(head(method="GET", path="/webhooks/inbound-sms?text=" + "x" * 140_000))
        assert b" 400 Bad Request" in await sender.rest()
        metrics = (await ingest.admin("/metrics")).body
        (line,) = ingest.log.of("request.refused")
    assert (line["level"], line["reason"]) == ("warning", "line-too-long")
    assert b'ackfirst_refused_requests_total{reason="line-too-long"} 1.0' in metrics


@pytest.mark.parametrize(
    "request_", [b"\x16\x03\x01\x02\r\n\r\n", b"GET / HTTP/1.1\r\nbroken\r\n\r\n", b"BREW\r\n\r\n"]
)
async def test_the_answer_to_a_malformed_request_names_no_library(request_: bytes, redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(request_)
        reply = await sender.rest()
    assert reply.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Server: ackfirst\r\n" in reply
    assert b"aiohttp" not in reply
