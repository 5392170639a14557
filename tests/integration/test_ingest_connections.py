"""Connections: many, idle, endless heads. Genuine callbacks are answered meanwhile, and memory stays bounded."""

import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ingest import connections, server
from ingest.connections import room_for_connections
from tests.support.factories import inbound_message
from tests.support.ingest import running_ingest
from tests.support.raw_http import RawConnection, raw_connection
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


async def test_connections_above_the_limit_are_closed_at_once_and_the_others_are_served(redis_url: str) -> None:
    async with running_ingest(redis_url, MAX_CONNECTIONS="5") as ingest:
        async with many_connections(ingest.port, 100, b"") as opened:
            closed = await asyncio.gather(*(is_closed(connection) for connection in opened))
            assert closed.count(False) == 5
            survivor = opened[closed.index(False)]
            await survivor.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await survivor.status() == 200
        await await_until(lambda: answers(ingest.port), message="room again")


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
    monkeypatch.setattr(server, "HEAD_TIMEOUT", 0.2)
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as slow:
        await slow.send(b"POST /webhooks/inbound-message HTTP/1.1\r\nHost: x\r\n")
        assert await slow.rest() == b""
        assert b'reason="head-timeout"} 1.0' in (await ingest.admin("/metrics")).body


async def test_a_connection_that_has_said_something_may_stay(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT", 0.2)
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
