"""Bodies: too large, too slow, broken, compressed. Other senders are answered meanwhile."""

import asyncio
import gzip
import json
import time
from contextlib import AsyncExitStack
from functools import partial

import pytest
import redis

from ackfirst.ingest import app as server
from ackfirst.ingest.body import BodyReader
from ackfirst.ingest.limits import IngestLimits
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.queue import keys
from tests.support.factories import LANE, inbound_message
from tests.support.ingest import running_ingest, signed_headers
from tests.support.raw_http import RawConnection, head, raw_connection

BODY = json.dumps(inbound_message()).encode()
LIMIT = 4096


async def send_until_refused(connection: RawConnection, piece: bytes, *, most: int) -> int:
    """Send as fast as the other side takes it; the bytes that it took before it hung up."""
    sent = 0
    try:
        async with asyncio.timeout(10):
            while sent < most:
                await connection.send(piece)
                sent += len(piece)
    except (ConnectionError, TimeoutError):
        pass
    return sent


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(redis_url: str) -> None:
    async with (
        running_ingest(redis_url, limits=IngestLimits(body_bytes=LIMIT)) as ingest,
        raw_connection(ingest.port) as sender,
    ):
        await sender.send(head(f"Content-Length: {LIMIT + 1}"))
        reply = await sender.rest()
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in reply
    assert reply.endswith(b'{"error":"too-large"}')


async def test_a_body_of_exactly_the_limit_is_read(redis_url: str) -> None:
    async with running_ingest(redis_url, limits=IngestLimits(body_bytes=LIMIT)) as ingest:
        assert (await ingest.post_signed(BODY.ljust(LIMIT))).status == 200
        assert (await ingest.post_signed(BODY.ljust(LIMIT + 1))).status == 413


@pytest.mark.parametrize(
    ("framing", "piece"),
    [
        ("Content-Length: 4000000000", b"x" * 65536),
        ("Transfer-Encoding: chunked", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ],
    ids=["content-length", "chunked"],
)
async def test_the_rest_of_a_too_large_body_is_not_read(redis_url: str, framing: str, piece: bytes) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(head(framing))
        taken = await send_until_refused(sender, piece, most=100_000_000)
        assert taken < 20_000_000  # the limit and what the kernel's buffers hold
        assert ingest.log.verdicts == ["too-large"]
        assert (await ingest.post_signed(BODY)).status == 200


async def test_the_sender_of_a_too_large_body_can_read_the_answer(redis_url: str) -> None:
    async with (
        running_ingest(redis_url, limits=IngestLimits(body_bytes=LIMIT)) as ingest,
        raw_connection(ingest.port) as sender,
    ):
        await sender.send(head("Transfer-Encoding: chunked") + b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
        started = time.monotonic()
        assert await sender.status() == 413
        await sender.rest()
        assert time.monotonic() - started < 3


async def test_a_body_that_does_not_come_is_given_up(redis_url: str) -> None:
    async with (
        running_ingest(redis_url, limits=IngestLimits(body_seconds=1.0)) as ingest,
        raw_connection(ingest.port) as slow,
    ):
        await slow.send(head("Content-Length: 100") + b"only a part")
        assert (await ingest.post_signed(BODY)).status == 200
        reply = await slow.rest()
        metrics = (await ingest.admin("/metrics")).body
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b'ackfirst_refused_requests_total{reason="body-timeout"} 1.0' in metrics
    assert ingest.log.verdicts == ["verified"]


async def test_a_body_that_drips_has_one_time_limit_for_all_of_it(redis_url: str) -> None:
    async with (
        running_ingest(redis_url, limits=IngestLimits(body_seconds=0.3)) as ingest,
        raw_connection(ingest.port) as slow,
    ):
        await slow.send(head("Content-Length: 1000"))
        started = time.monotonic()
        dripping = asyncio.create_task(drip(slow))
        assert await slow.status() == 408
        assert time.monotonic() - started < 3
        dripping.cancel()


async def drip(connection: RawConnection) -> None:
    while True:
        await connection.send(b"x")
        await asyncio.sleep(0.02)


async def test_a_body_in_many_pieces_is_put_together(redis_url: str, redis_sync: redis.Redis) -> None:
    lines = [f"{name}: {value}" for name, value in signed_headers(BODY).items()]
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        for byte in head(*lines, f"Content-Length: {len(BODY)}") + BODY:
            await sender.send(bytes([byte]))
        assert await sender.status() == 200
    assert redis_sync.llen(keys.queue(LANE)) == 1


async def test_a_client_that_asks_first_is_invited(redis_url: str) -> None:
    lines = [f"{name}: {value}" for name, value in signed_headers(BODY).items()]
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(head(*lines, f"Content-Length: {len(BODY)}", "Expect: 100-continue"))
        assert await sender.status() == 100
        await sender.send(BODY)
        assert await sender.status() == 200


async def test_a_client_that_asks_first_is_not_invited_to_send_too_much(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(head("Content-Length: 999999999", "Expect: 100-continue"))
        assert await sender.status() == 413


async def test_a_compressed_body_is_never_inflated(redis_url: str, redis_sync: redis.Redis) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    async with running_ingest(redis_url) as ingest:
        headers = {**signed_headers(bomb), "Content-Encoding": "gzip"}
        reply = await ingest.send(data=bomb, headers=headers)
    assert reply.status == 200
    assert ingest.log.verdicts == ["unreadable"]
    ((_, fields),) = redis_sync.xrange(keys.QUARANTINE)
    assert QuarantineRecord.decode(fields).body == bomb


async def test_broken_framing_is_a_bad_request(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(head("Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
        await sender.send(b"not a size\r\n")
        assert b" 400 Bad Request" in await sender.rest()
        assert (await ingest.post_signed(BODY)).status == 200


async def test_a_sender_that_goes_away_in_the_middle_harms_nobody(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest:
        for _ in range(20):
            async with raw_connection(ingest.port) as sender:
                await sender.send(head("Content-Length: 100") + b"bye")
        assert (await ingest.post_signed(BODY)).status == 200
    assert ingest.log.verdicts == ["verified"]
    assert not ingest.log.of("callback.failed")


async def test_unfinished_bodies_share_a_bounded_memory(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BodyReader", partial(BodyReader, unfinished_limit=2_000_000))
    async with running_ingest(redis_url, limits=IngestLimits(body_seconds=60)) as ingest, AsyncExitStack() as stack:
        senders = [await stack.enter_async_context(raw_connection(ingest.port)) for _ in range(4)]
        for sender in senders:
            sender.writer.write(head("Content-Length: 1000000") + b"x" * 900_000)
        refused = await asyncio.gather(*(is_refused(sender) for sender in senders))
        assert 1 <= refused.count(True) <= 2
        assert (await ingest.post_signed(BODY)).status == 200
        assert ingest.log.verdicts == ["unavailable"] * refused.count(True) + ["verified"]


async def is_refused(connection: RawConnection) -> bool:
    try:
        async with asyncio.timeout(2):
            return await connection.status() == 503
    except TimeoutError:
        return False
