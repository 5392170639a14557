"""Connections are accepted as they come, not one in each turn of the event loop."""

import asyncio
import resource
import socket
import time
from contextlib import suppress

import pytest

from ackfirst.ingest import listener as module
from ackfirst.ingest.listener import Listener
from tests.support.waiting import await_until


class Counting(asyncio.Protocol):
    made: int

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        type(self).made += 1
        self.transport = transport


@pytest.fixture
def protocol() -> type[Counting]:
    return type("Counted", (Counting,), {"made": 0})


def connect(count: int, port: int) -> list[socket.socket]:
    clients = [socket.socket() for _ in range(count)]
    for client in clients:
        client.setblocking(False)
        with suppress(BlockingIOError):
            client.connect(("127.0.0.1", port))
    return clients


async def end(listener: Listener, clients: list[socket.socket]) -> None:
    listener.close()
    for client in clients:
        client.close()
    await asyncio.sleep(0.05)  # the other sides notice


async def test_connections_are_accepted_together_while_turns_are_long(protocol: type[Counting]) -> None:
    """A turn of the loop takes 20 ms here: one connection a turn would be two seconds."""
    listener = Listener(protocol)
    await listener.start("127.0.0.1", 0, reuse_port=False)
    clients = connect(100, listener.sockets[0].getsockname()[1])
    turns = 0
    while protocol.made < 100 and turns < 50:
        time.sleep(0.02)  # noqa: ASYNC251 - that is what a busy loop does
        await asyncio.sleep(0)
        turns += 1
    assert turns < 20
    await end(listener, clients)


async def test_a_host_name_stands_for_all_its_addresses(protocol: type[Counting]) -> None:
    listener = Listener(protocol)
    await listener.start("localhost", 0, reuse_port=False)
    assert {one.getsockname()[0] for one in listener.sockets} <= {"127.0.0.1", "::1"}
    await end(listener, [])


async def test_an_address_in_use_is_an_error_and_leaves_no_socket_open(protocol: type[Counting]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listener = Listener(protocol)
        with pytest.raises(OSError, match="in use"):
            await listener.start("127.0.0.1", taken.getsockname()[1], reuse_port=False)
        assert all(one.fileno() == -1 for one in listener.sockets)


async def test_without_a_file_descriptor_it_tries_again_a_moment_later(
    protocol: type[Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    listener = Listener(protocol)
    await listener.start("127.0.0.1", 0, reuse_port=False)
    clients = connect(1, listener.sockets[0].getsockname()[1])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        await asyncio.sleep(0.05)
        assert protocol.made == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await await_until(lambda: protocol.made)
    await end(listener, clients)
