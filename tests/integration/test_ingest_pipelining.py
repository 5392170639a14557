"""Requests that share a connection: order, pieces, half-closed senders, idleness, senders that read no answers."""

import asyncio
import gc
import json
import socket
from contextlib import suppress

import pytest
import redis

from ackfirst.ingest import server
from ackfirst.shared.queue import keys
from tests.support.factories import LANE, inbound_message
from tests.support.ingest import running_ingest, signed_headers
from tests.support.raw_http import head, raw_connection
from tests.support.waiting import await_until

HEALTH = head(path="/healthz", method="GET")
FORGED = head("Authorization: Bearer no.such.token", "Content-Length: 2") + b"{}"


def callback(number: int = 0, *lines: str) -> bytes:
    body = json.dumps(inbound_message(message_uuid=f"uuid-{number}")).encode()
    signed = [f"{name}: {value}" for name, value in signed_headers(body).items()]
    return head(*signed, f"Content-Length: {len(body)}", *lines) + body


def queued(redis_sync: redis.Redis) -> int:
    return redis_sync.llen(keys.queue(LANE))


async def test_answers_keep_the_order_of_pipelined_requests(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(callback(1) + FORGED + callback(2) + HEALTH + callback(1))
        assert [await sender.status() for _ in range(4)] == [200, 401, 200, 200]
        assert await sender.reader.readexactly(3) == b"ok\n"
        assert await sender.status() == 200


async def test_a_request_that_comes_while_another_is_answered_waits_for_its_turn(
    redis_url: str, redis_sync: redis.Redis
) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        redis_sync.execute_command("CLIENT", "PAUSE", 300, "WRITE")
        await sender.send(callback(1))
        await await_until(lambda: ingest.server.edge is not None and ingest.server.edge.open_requests == 1)
        await sender.send(HEALTH)
        await sender.send(callback(2))
        assert await sender.status() == 200
        assert await sender.reader.readuntil(b"ok\n")
        assert await sender.status() == 200
    assert queued(redis_sync) == 2


@pytest.mark.parametrize("at", [10, 300, -1])
async def test_a_callback_in_pieces_is_answered_and_so_is_the_next_whole_one(
    redis_url: str, redis_sync: redis.Redis, at: int
) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        whole = callback(1)
        await sender.send(whole[:at])
        await asyncio.sleep(0.05)
        await sender.send(whole[at:])
        assert await sender.status() == 200
        await sender.send(callback(2))
        assert await sender.status() == 200
    assert queued(redis_sync) == 2


async def test_a_sender_that_ends_its_side_hears_the_answer_and_the_end(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        sender.writer.write(callback())
        sender.writer.write_eof()
        reply = await sender.rest()
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert reply.endswith(b"\r\n\r\n")


async def test_a_sender_that_goes_away_loses_its_answer_and_not_its_event(
    redis_url: str, redis_sync: redis.Redis
) -> None:
    async with running_ingest(redis_url) as ingest:
        redis_sync.execute_command("CLIENT", "PAUSE", 200, "WRITE")
        async with raw_connection(ingest.port) as sender:
            await sender.send(callback())
            await await_until(lambda: ingest.server.edge is not None and ingest.server.edge.open_requests == 1)
            sender.writer.transport.abort()
        await await_until(lambda: queued(redis_sync) == 1)
        await await_until(lambda: ingest.server.edge is not None and ingest.server.edge.open_requests == 0)
        assert ingest.log.verdicts == ["verified"]


async def test_an_answer_says_when_and_who_and_nothing_about_the_library(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        await sender.send(callback())
        found = (await sender.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        await sender.send(FORGED)
        refused = (await sender.rest(quiet=0.3)).decode()
    assert found[0] == "HTTP/1.1 200 OK"
    assert {line.partition(":")[0] for line in found[1:-2]} == {"Content-Length", "Date", "Server"}
    assert "Server: ackfirst\r\n" in refused
    assert "Content-Type: application/json\r\n" in refused
    assert refused.endswith('\r\n\r\n{"error":"forged"}')


async def test_a_connection_is_idle_from_its_last_answer(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "KEEPALIVE_SECONDS", 2.0)
    async with running_ingest(redis_url) as ingest, raw_connection(ingest.port) as sender:
        for number in range(5):
            await asyncio.sleep(0.5)
            await sender.send(callback(number))
            assert await sender.status() == 200
        assert await sender.rest() == b"", "and it closes when nothing more comes"


async def test_a_sender_that_reads_no_answers_gets_no_more_of_them_than_the_buffer_holds(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest:
        quiet = socket.socket()
        quiet.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        quiet.setblocking(False)
        await asyncio.get_running_loop().sock_connect(quiet, ("127.0.0.1", ingest.port))
        await await_until(transports)
        for one in transports():  # the kernel is to hold few answers
            one.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                for _ in range(3_000):
                    await asyncio.get_running_loop().sock_sendall(quiet, FORGED)
                    for _ in range(8):  # turns of the loop: each one comes by itself, when the last is answered
                        await asyncio.sleep(0)
        assert max(one.get_write_buffer_size() for one in transports()) < 100_000
        assert (await ingest.send(method="GET", path="/healthz")).status == 200, "the others are served"
        quiet.close()


def transports() -> list[asyncio.Transport]:
    """Of connections that are open."""
    found = [one for one in gc.get_objects() if isinstance(one, server.GuardedConnection)]
    return [one.transport for one in found if one.transport is not None]
