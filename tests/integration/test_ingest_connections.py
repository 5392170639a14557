"""Connections: many, idle, endless heads. Genuine callbacks are answered meanwhile, and memory stays bounded."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ackfirst.ingest import app as server
from ackfirst.ingest import connections
from ackfirst.ingest.connections import room_for_connections
from ackfirst.ingest.limits import IngestLimits
from tests.support.factories import inbound_message
from tests.support.ingest import Ingest, running_ingest, signed_headers
from tests.support.raw_http import RawConnection, head, raw_connection
from tests.support.redis_process import RedisProcess
from tests.support.waiting import await_until

BODY = json.dumps(inbound_message()).encode()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@asynccontextmanager
async def many_connections(port: int, count: int, opening: bytes) -> AsyncIterator[list[RawConnection]]:
    opened: list[RawConnection] = []
    try:
        while len(opened) < count:
            batch = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(100)))
            opened += [RawConnection(reader, writer) for reader, writer in batch]
            for connection in opened[-100:]:
                connection.writer.write(opening)
        yield opened
    finally:
        for connection in opened:
            connection.writer.transport.abort()


@pytest.mark.parametrize("opening", [b"", b"POST /webhooks/inbound-mess"], ids=["silent", "half-a-head"])
async def test_two_thousand_idle_connections_do_not_disturb_a_callback(redis_url: str, opening: bytes) -> None:
    async with running_ingest(redis_url) as ingest:
        before = resident_bytes()
        async with many_connections(ingest.port, 2000, opening):
            metrics = (await ingest.admin("/metrics")).body
            assert b"ackfirst_connections 2000.0" in metrics
            assert (await ingest.post_signed(BODY)).status == 200
            assert resident_bytes() - before < 150_000_000  # both ends of every connection are in this process


async def test_above_the_limit_the_connections_that_waited_longest_are_closed(redis_url: str) -> None:
    async with running_ingest(redis_url, limits=IngestLimits(connections=5)) as ingest:
        async with many_connections(ingest.port, 100, b"") as opened:
            closed = await asyncio.gather(*(is_closed(connection) for connection in opened))
            assert closed == [True] * 95 + [False] * 5
            survivor = opened[closed.index(False)]
            await survivor.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await survivor.status() == 200
        await await_until(lambda: answers(ingest.port), message="room again")


IDLE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW_BODY = b"POST /webhooks/inbound-message HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx"


@pytest.mark.parametrize("opening", [b"", b"POST /webhooks", IDLE, SLOW_BODY], ids=["silent", "head", "idle", "body"])
async def test_those_who_hold_all_connections_do_not_keep_a_callback_out(redis_url: str, opening: bytes) -> None:
    async with running_ingest(redis_url, limits=IngestLimits(connections=100)) as ingest:
        async with many_connections(ingest.port, 100, opening) as holders:
            await asyncio.gather(*(holder.status() for holder in holders if opening == IDLE))
            assert (await ingest.post_signed(BODY)).status == 200
            metrics = (await ingest.admin("/metrics")).body
        assert b'ackfirst_refused_requests_total{reason="gave-way"} 1.0' in metrics
        assert b"ackfirst_connections 100.0" in metrics


async def test_a_callback_that_is_being_answered_does_not_give_way(
    own_redis: RedisProcess,
) -> None:
    async with running_ingest(own_redis.url, ACK_DEADLINE="1", limits=IngestLimits(connections=3)) as ingest:
        own_redis.pause()
        try:
            callbacks = [asyncio.create_task(ingest.post_signed(BODY)) for _ in range(3)]
            await await_until(lambda: open_requests(ingest, 3), message="all connections are busy")
            async with raw_connection(ingest.port) as another:
                assert await is_closed(another)
            assert [(await callback).status for callback in callbacks] == [200] * 3, (
                "from the spool, after the deadline"
            )
        finally:
            own_redis.resume()
        assert b'reason="connection-limit"} 1.0' in (await ingest.admin("/metrics")).body


async def open_requests(ingest: Ingest, count: int) -> bool:
    return ingest.server.edge is not None and ingest.server.edge.open_requests == count


async def test_a_sender_that_ends_its_side_still_gets_its_answers(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(signed_request(BODY) * 2)
        sender.writer.write_eof()
        assert (await sender.rest()).count(b"HTTP/1.1 200 OK") == 2
        assert ingest.log.verdicts == ["verified", "duplicate"]


async def test_a_sender_that_is_done_leaves_no_connection_behind(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest:
        for _ in range(20):
            async with raw_connection(ingest.port) as sender:
                await sender.send(IDLE)
                await sender.status()
        await await_until(lambda: has_connections(ingest, 0), message="no connection is open")


async def has_connections(ingest: Ingest, count: int) -> bool:
    return f"ackfirst_connections {count}.0".encode() in (await ingest.admin("/metrics")).body


@pytest.mark.parametrize("opening", [b"", b"POST /webhooks", SLOW_BODY], ids=["silent", "head", "body"])
async def test_a_sender_that_ends_in_the_middle_is_let_go(redis_url: str, opening: bytes) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(opening)
        await asyncio.sleep(0.05)  # else the body has not begun to be read
        sender.writer.write_eof()
        async with asyncio.timeout(3):
            assert b" 200 " not in await sender.rest()


def signed_request(body: bytes) -> bytes:
    lines = [f"{name}: {value}" for name, value in signed_headers(body).items()]
    return head(f"Content-Length: {len(body)}", *lines) + body


async def is_closed(connection: RawConnection) -> bool:
    try:
        async with asyncio.timeout(1.0):
            return await connection.reader.read(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


async def answers(port: int) -> bool:
    try:
        async with raw_connection(port) as probe:
            await probe.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return (await probe.rest()).startswith(b"HTTP/1.1 200")
    except ConnectionError:
        return False


async def test_a_head_that_never_ends_is_given_up(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_SECONDS", 0.2)
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as slow:
        await slow.send(b"POST /webhooks/inbound-message HTTP/1.1\r\nHost: x\r\n")
        assert await slow.rest() == b""
        assert b'reason="head-timeout"} 1.0' in (await ingest.admin("/metrics")).body


async def test_a_connection_that_has_said_something_may_stay(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_SECONDS", 0.2)
    async with (
        running_ingest(redis_url) as ingest,
        raw_connection(ingest.port) as idle,
        raw_connection(ingest.port) as slow,
    ):
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        for _ in range(2):
            await idle.send(request)
            assert await idle.status() == 200
            await idle.reader.readexactly(3)
            await slow.rest()  # closed after the time limit for a head


def test_the_limit_of_open_files_is_raised_and_otherwise_bounds_the_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (600, hard))
        assert room_for_connections(500) == 500
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 500 + connections.RESERVED_FILES
        assert room_for_connections(10**9) == hard - connections.RESERVED_FILES
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
