"""Receivers in trouble, as the simulator's client and its model of Nexmo see them: no crash, no hang."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
from yarl import URL

from ackfirst.shared.nexmo.token import parse
from ackfirst.simulator.client import Answer, Client
from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.planned import Kind, Planned
from ackfirst.simulator.provider import Stage
from ackfirst.simulator.rules import Pace, ProviderPolicy
from ackfirst.simulator.sender import Sender
from ackfirst.simulator.signing import Request, Signer
from tests.support.factories import NOW
from tests.support.ports import free_port
from tests.support.receiver import honest, never, receiver
from tests.support.simulated import ONLY_GENUINE, make_signing_account, one, plan, receiver_of

HONEST = honest(receiver_of(make_signing_account()), now=lambda: NOW)
REQUEST = Request(method="POST", path="/webhooks/inbound-message", body=b"x" * 100)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def client(
    port: int, *, scheme: str = "http", connect: float = 1.0, answer: float = 1.0
) -> AsyncIterator[Client]:
    made = Client(URL(f"{scheme}://127.0.0.1:{port}"), connect_timeout=connect, answer_timeout=answer)
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def server(answer: bytes, *, reset: bool = False) -> AsyncIterator[int]:
    """Answers each request with those bytes and closes the connection, or resets it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(REQUEST.body))
        writer.write(answer)
        if reset:
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def deliver(target: URL, pace: Pace, *traffic: Planned, answer_timeout: float = 1.0) -> list[Delivery]:
    made = Client(target, connect_timeout=1.0, answer_timeout=answer_timeout)
    sent: list[Delivery] = []
    try:
        signer = Signer(make_signing_account(), Random(1))
        await Sender(made, signer, pace, sent=sent, now=lambda: NOW).send(traffic)
    finally:
        await made.close()
    return sent


def stages(sent: list[Delivery]) -> list[Stage]:
    return [delivery.life.stage for delivery in sent if delivery.life]


async def test_a_refused_connection_is_no_answer() -> None:
    async with client(free_port()) as found:
        assert await found.send(REQUEST) == Answer(None, "no answer (connection refused)")


@pytest.mark.parametrize(
    ("sends", "reason"),
    [
        (b"", "connection closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "connection closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "connection closed"),
        (b"220 mail.example ESMTP\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "the answer is not HTTP"),
    ],
)
async def test_half_an_answer_or_garbage_is_no_answer(sends: bytes, reason: str) -> None:
    async with server(sends) as port, client(port) as found:
        assert await found.send(REQUEST) == Answer(None, f"no answer ({reason})")


@pytest.mark.parametrize(
    "sends",
    [
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 \r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_unusual_but_valid_answers_count(sends: bytes) -> None:
    async with server(sends) as port, client(port) as found:
        assert await found.send(REQUEST) == Answer(200)


async def test_a_reset_is_no_answer() -> None:
    async with server(b"", reset=True) as port, client(port) as found:
        answer = await found.send(REQUEST)
    assert answer.status is None
    assert answer.error in ("no answer (connection reset)", "no answer (connection closed)")


async def test_an_answer_that_takes_too_long_is_none() -> None:
    async with receiver(lambda _callback: never()) as found, client(found.url.port or 0, answer=0.05) as made:
        assert await made.send(REQUEST) == Answer(None, "no answer (within 0.05 s)")


async def test_an_answer_that_never_ends_is_none() -> None:
    ended = asyncio.Event()

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"H")
            await asyncio.sleep(0.02)
        writer.close()
        ended.set()

    listening = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with listening, client(listening.sockets[0].getsockname()[1], connect=0.1, answer=0.1) as found:
        assert await found.send(REQUEST) == Answer(None, "no answer (the answer is not HTTP)")
        await ended.wait()


async def test_a_receiver_that_does_not_accept_connections_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        held = [socket.socket() for _ in range(3)]  # they fill the backlog, so that no other connection is accepted
        for one_of_them in held:
            one_of_them.setblocking(False)
            one_of_them.connect_ex(("127.0.0.1", port))
        async with client(port, connect=0.1) as found:
            assert await found.send(REQUEST) == Answer(None, "no answer (not connected within 0.1 s)")
        for one_of_them in held:
            one_of_them.close()


async def test_connections_are_reused_and_replaced_when_the_receiver_has_closed_them() -> None:
    opened: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        while await reader.read(1000):
            writer.write(OK)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    empty = Request(method="GET", path="/")
    async with listening, client(listening.sockets[0].getsockname()[1]) as found:
        for _ in range(3):
            assert (await found.send(empty)).status == 200
        assert len(opened) == 1
        opened[0].close()
        await opened[0].wait_closed()
        assert (await found.send(empty)).status == 200
        assert len(opened) == 2
        opened[1].close()
        await opened[1].wait_closed()


async def test_a_slow_request_arrives_in_pieces_with_its_length() -> None:
    pieces: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: 100\r\n" in head
        while sum(map(len, pieces)) < 100:
            pieces.append(await reader.read(1000))
        writer.write(OK)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening, client(listening.sockets[0].getsockname()[1]) as found:
        assert await found.send(REQUEST, slow=True) == Answer(200)
    assert len(pieces) > 1


async def test_a_redirect_is_not_followed_and_drops_a_message() -> None:
    pace = Pace(rate=0, retry_delays=(0.01,))
    async with receiver(lambda _callback: 302) as found:
        sent = await deliver(found.url, pace, one(Kind.GENUINE))
    assert stages(sent) == [Stage.DROPPED]
    assert len(found.callbacks) == 1


async def test_per_account_a_callback_that_is_not_accepted_holds_up_the_others() -> None:
    refusals = iter([503, 503, 503])
    traffic = plan(6, ONLY_GENUINE)
    pace = Pace(rate=0, concurrency=20, retry_delays=(0.01,) * 5, policy=ProviderPolicy.PER_ACCOUNT)
    async with receiver(lambda _callback: next(refusals, 200)) as found:
        sent = await deliver(found.url, pace, *traffic)

    assert found.most_at_once == 1
    assert [len(delivery.attempts) for delivery in sent] == [4, 1, 1, 1, 1, 1]
    assert stages(sent) == [Stage.DELIVERED] * 6


async def test_the_providers_own_schedule_passes_as_fast_as_its_time() -> None:
    answers = iter([503] * 5)
    pace = Pace(rate=0, retry_delays=None, speed=2000.0)
    async with receiver(lambda _callback: next(answers, 200)) as found:
        (delivery,) = await deliver(found.url, pace, one(Kind.GENUINE))

    assert stages([delivery]) == [Stage.DELIVERED]
    assert delivery.life is not None
    assert delivery.life.settled is not None
    assert delivery.life.settled >= 5 + 10 + 20 + 40 + 80


async def test_a_day_without_a_receiver_expires_a_message_after_its_103_attempts() -> None:
    target = URL(f"http://127.0.0.1:{free_port()}")
    (delivery,) = await deliver(target, Pace(rate=0, retry_delays=None, speed=50_000.0), one(Kind.GENUINE))
    assert stages([delivery]) == [Stage.EXPIRED]
    # Each attempt takes a moment of its own, which at this speed is minutes.
    assert 50 < len(delivery.attempts) <= 103


@pytest.mark.parametrize("keep", [True, False])
async def test_a_retry_is_signed_afresh_unless_the_token_is_kept(*, keep: bool) -> None:
    answers = iter([503, 503])
    pace = Pace(rate=0, retry_delays=(0.01, 0.01), keep_token=keep)
    async with receiver(lambda _callback: next(answers, 200)) as found:
        await deliver(found.url, pace, one(Kind.GENUINE))
    assert len({callback.authorization for callback in found.callbacks}) == (1 if keep else 3)


async def test_an_unsigned_callback_never_keeps_its_lack_of_a_token() -> None:
    pace = Pace(rate=0, retry_delays=(0.01, 0.01), keep_token=True)
    async with receiver(HONEST) as found:
        (delivery,) = await deliver(found.url, pace, one(Kind.UNSIGNED))
    assert [attempt.status for attempt in delivery.attempts] == [503, 200]
    assert delivery.acknowledged


async def test_a_provider_whose_clock_is_ahead_signs_in_our_future() -> None:
    async with receiver(HONEST) as found:
        await deliver(found.url, Pace(rate=0, skew=3600.0), one(Kind.GENUINE))
    token = found.callbacks[0].authorization.removeprefix("Bearer ")
    assert parse(token).claims.iat == int(NOW) + 3600


async def test_bursts_keep_the_rate_on_average() -> None:
    async with receiver(HONEST) as found:
        begun = asyncio.get_running_loop().time()
        await deliver(found.url, Pace(rate=100, burst=20), *plan(41, ONLY_GENUINE))
    assert asyncio.get_running_loop().time() - begun >= 0.4
