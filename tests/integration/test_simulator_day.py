"""A simulated day with three outages of the receiver: everything is accounted for, and nothing is lost."""

import asyncio
import contextlib
from random import Random
from typing import TYPE_CHECKING

import pytest
from yarl import URL

from ackfirst.simulator.client import Client
from ackfirst.simulator.report import fates
from ackfirst.simulator.rules import Pace, ProviderPolicy
from ackfirst.simulator.sender import Sender
from ackfirst.simulator.signing import Signer
from tests.support.ports import free_port
from tests.support.simulated import ONLY_GENUINE, make_signing_account, plan

if TYPE_CHECKING:
    from ackfirst.simulator.delivery import Delivery

#: Seconds of the provider's time in one of ours: a day in six.
SPEED = 14_400.0
HOUR = 3600 / SPEED
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Receiver:
    """Takes everything, except while it is down: then nobody listens, and every connection is reset."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def run(self) -> None:
        """Up, but for an hour three times a day."""
        for hours_up in (4, 6, 6, 1000):
            server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            try:
                await asyncio.sleep(hours_up * HOUR)
            finally:
                server.close()
                await self._hang_up()
            await asyncio.sleep(HOUR)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving[task] = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
                await reader.readexactly(next(lengths, 0))
                writer.write(OK)
        writer.close()
        del self._serving[task]

    async def _hang_up(self) -> None:
        for writer in self._serving.values():
            writer.transport.abort()
        if self._serving:
            await asyncio.wait(tuple(self._serving))


@pytest.mark.parametrize("policy", list(ProviderPolicy))
async def test_24_hours_with_three_outages_leave_a_balanced_ledger(policy: ProviderPolicy) -> None:
    port, traffic = free_port(), plan(480, ONLY_GENUINE)
    pace = Pace(rate=80.0, speed=SPEED, retry_delays=None, policy=policy)
    target = URL(f"http://127.0.0.1:{port}")
    sent: list[Delivery] = []
    running = asyncio.create_task(_Receiver(port).run())
    client = Client(target, connect_timeout=pace.connect_timeout, answer_timeout=pace.answer_timeout)
    try:
        await Sender(client, Signer(make_signing_account(), Random(1)), pace, sent=sent).send(traffic)
    finally:
        await client.close()
        running.cancel()
        await asyncio.wait([running])

    found = fates(sent, policy="per-message", speed=1.0)
    assert (found.created, found.delivered, found.waiting) == (480, 480, 0)
    assert found.balances
    assert any(attempt.status is None for delivery in sent for attempt in delivery.attempts), "there was an outage"
