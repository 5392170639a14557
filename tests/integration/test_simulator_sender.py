"""The simulator as an HTTP client: pace, retries, and exactly the planned bytes on the wire."""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from yarl import URL

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.policy import Policy
from ackfirst.simulator.client import Client, UnreachableError, probe
from ackfirst.simulator.delivery import Delivery
from ackfirst.simulator.planned import Kind, Planned
from ackfirst.simulator.report import latency
from ackfirst.simulator.rules import Pace
from ackfirst.simulator.sender import Sender
from ackfirst.simulator.signing import Signer
from tests.support.factories import NOW
from tests.support.ports import free_port
from tests.support.receiver import Answer, Receiver, honest, receiver
from tests.support.simulated import MIXED, ONLY_GENUINE, make_signing_account, one, plan, receiver_of
from tests.support.waiting import await_until

QUICK = Pace(rate=0, concurrency=20, retry_delays=(0.01, 0.02, 0.02))
HONEST = honest(receiver_of(make_signing_account()), now=lambda: NOW)


def client_of(target: URL, pace: Pace) -> Client:
    return Client(target, connect_timeout=pace.connect_timeout, answer_timeout=pace.answer_timeout)


async def deliver(
    target: URL, traffic: Sequence[Planned], pace: Pace = QUICK, sent: list[Delivery] | None = None
) -> list[Delivery]:
    sent = [] if sent is None else sent
    client = client_of(target, pace)
    try:
        signer = Signer(make_signing_account(), Random(1))
        await Sender(client, signer, pace, sent=sent, now=lambda: NOW).send(traffic)
    finally:
        await client.close()
    return sent


async def exchange(answer: Answer, traffic: Sequence[Planned], pace: Pace = QUICK) -> tuple[Receiver, list[Delivery]]:
    async with receiver(answer) as found:
        return found, await deliver(found.url, traffic, pace)


def scripted(*statuses: int) -> Answer:
    """Those statuses in turn."""
    left = iter(statuses)
    return lambda _callback: next(left)


@pytest.mark.parametrize("policy", list(Policy))
async def test_answers_by_the_verdict_table_are_all_as_expected(policy: Policy) -> None:
    answer = honest(receiver_of(make_signing_account()), policy, now=lambda: NOW)
    _, sent = await exchange(answer, plan(600))

    assert {(delivery.planned.kind, delivery.problem) for delivery in sent if delivery.problem} == set()
    genuine = [delivery for delivery in sent if delivery.planned.kind in (Kind.GENUINE, Kind.DUPLICATE)]
    assert genuine
    assert all(delivery.acknowledged for delivery in genuine)


async def test_a_receiver_that_accepts_everything_is_reported() -> None:
    _, sent = await exchange(lambda _callback: 200, plan(300))
    assert {delivery.planned.kind for delivery in sent if delivery.problem} == {Kind.UNSIGNED, Kind.TAMPERED}


async def test_exactly_the_planned_bytes_arrive() -> None:
    signer = Signer(make_signing_account(), Random(1))
    traffic = plan(300, ONLY_GENUINE)
    found, _ = await exchange(HONEST, traffic, Pace(rate=0, concurrency=1))
    wanted = [signer.request(planned, signed=True, now=NOW) for planned in traffic]

    for request, callback in zip(wanted, found.callbacks, strict=True):
        assert (callback.method, callback.path) == (request.method, request.path)
        assert (callback.query, callback.body) == (request.query, request.body)
        assert callback.content_type == request.headers.get("Content-Type", "")
    assert any(callback.body and not callback.content_type for callback in found.callbacks)


async def test_an_unsigned_callback_that_is_refused_with_503_comes_again_signed() -> None:
    found, (delivery,) = await exchange(HONEST, [one(Kind.UNSIGNED)])

    assert [attempt.status for attempt in delivery.attempts] == [503, 200]
    assert [bool(callback.authorization) for callback in found.callbacks] == [False, True]
    assert delivery.acknowledged


async def test_without_retries_an_unsigned_callback_stays_refused() -> None:
    pace = Pace(rate=0, retry_delays=(0.01,), sign_unsigned=False)
    _, (delivery,) = await exchange(HONEST, [one(Kind.UNSIGNED)], pace)
    assert [attempt.status for attempt in delivery.attempts] == [503]
    assert delivery.problem is None


async def test_a_genuine_callback_is_sent_again_until_it_is_acknowledged() -> None:
    _, (delivery,) = await exchange(scripted(503, 429, 200), [one(Kind.GENUINE)])
    assert [attempt.status for attempt in delivery.attempts] == [503, 429, 200]
    assert delivery.problem is None


async def test_retries_end() -> None:
    _, (delivery,) = await exchange(lambda _callback: 503, [one(Kind.GENUINE)])
    assert [attempt.status for attempt in delivery.attempts] == [503] * 4
    assert delivery.problem == "answered 503, not 200"


@pytest.mark.parametrize("status", [301, 400, 401, 413])
async def test_a_final_refusal_is_not_retried(status: int) -> None:
    _, (delivery,) = await exchange(lambda _callback: status, [one(Kind.GENUINE)])
    assert [attempt.status for attempt in delivery.attempts] == [status]


async def test_a_forged_callback_is_not_retried() -> None:
    _, (delivery,) = await exchange(lambda _callback: 503, [one(Kind.WRONG_SECRET)])
    assert len(delivery.attempts) == 1


async def test_a_receiver_that_closes_the_connection_gives_no_answer() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        (delivery,) = await deliver(URL(f"http://127.0.0.1:{port}"), [one(Kind.GENUINE)])

    assert [attempt.status for attempt in delivery.attempts] == [None] * 4
    assert delivery.problem is not None
    assert delivery.problem.startswith("no answer")


async def test_a_stall_of_the_receiver_shows_as_latency_of_everything_that_was_due_meanwhile() -> None:
    stall = 0.5
    over = asyncio.Event()

    async def answer() -> int:
        await over.wait()
        return 200

    async with receiver(lambda _callback: answer()) as found:
        asyncio.get_running_loop().call_later(stall, over.set)
        # One connection: in a closed loop all but the first would look fast.
        sent = await deliver(found.url, plan(50, ONLY_GENUINE), Pace(rate=1000, concurrency=1))

    measured = latency([delivery.attempts[0].seconds for delivery in sent])
    assert measured is not None
    assert measured.p50 > stall * 1000 / 2


async def test_callbacks_are_not_sent_before_they_are_due() -> None:
    begun = asyncio.get_running_loop().time()
    await exchange(HONEST, plan(51, ONLY_GENUINE), Pace(rate=100, concurrency=50))
    assert asyncio.get_running_loop().time() - begun >= 0.5


async def test_no_more_requests_are_in_flight_than_allowed() -> None:
    async def slow() -> int:
        await asyncio.sleep(0.005)
        return 200

    found, _ = await exchange(lambda _callback: slow(), plan(60, ONLY_GENUINE), Pace(rate=0, concurrency=4))
    assert found.most_at_once <= 4


async def test_what_was_sent_is_known_after_a_cancellation() -> None:
    answers = 0

    def answer(_callback: Callback) -> int:
        nonlocal answers
        answers += 1
        return 200

    sent: list[Delivery] = []
    async with receiver(answer) as found:
        task = asyncio.create_task(deliver(found.url, plan(1000, MIXED), Pace(rate=50, concurrency=5), sent))
        await await_until(lambda: answers >= 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert 3 <= len(sent) < 1000


async def probed(target: URL) -> None:
    client = client_of(target, Pace())
    try:
        await probe(client, target)
    finally:
        await client.close()


async def test_the_probe_finds_a_server() -> None:
    async with receiver(lambda _callback: 200) as found:
        await probed(found.url)
    assert found.callbacks == []


async def test_the_probe_reports_a_target_that_does_not_answer() -> None:
    target = URL(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnreachableError, match=f"no answer from {target}: connection refused"):
        await probed(target)
