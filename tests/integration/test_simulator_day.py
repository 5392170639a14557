"""A simulated day with three outages of the receiver: everything is accounted for, and nothing is lost."""

import asyncio
from random import Random
from typing import TYPE_CHECKING, ClassVar

import pytest
from yarl import URL

from shared.free_port import free_port
from simulator.pace import Pace
from simulator.provider import ProviderPolicy
from simulator.report import Run, ended
from simulator.sender import Sender, wire
from simulator.signing import Signer
from tests.support.simulated import ONLY_GENUINE, make_signing_account, plan

if TYPE_CHECKING:
    from simulator.delivery import Delivery

#: Seconds of the provider's time in one of ours: a day in six.
SPEED = 14_400.0
HOUR = 3600 / SPEED
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Taker(asyncio.Protocol):
    """Takes whatever comes in one piece."""

    open: ClassVar[set[asyncio.Transport]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(OK)


async def _receiver_with_outages(port: int) -> None:
    """Up, but for an hour three times a day."""
    loop = asyncio.get_running_loop()
    for hours_up in (4, 6, 6, 1000):
        server = await loop.create_server(_Taker, "127.0.0.1", port)
        try:
            await asyncio.sleep(hours_up * HOUR)
        finally:
            server.close()
            for transport in tuple(_Taker.open):
                transport.abort()
        await asyncio.sleep(HOUR)


@pytest.mark.parametrize("policy", list(ProviderPolicy))
async def test_24_hours_with_three_outages_leave_a_balanced_ledger(policy: ProviderPolicy) -> None:
    port, traffic = free_port(), plan(480, ONLY_GENUINE)
    pace = Pace(rate=80.0, speed=SPEED, retry_delays=None, policy=policy)
    target = URL(f"http://127.0.0.1:{port}")
    sent: list[Delivery] = []
    outages = asyncio.create_task(_receiver_with_outages(port))
    line = wire(target, pace)
    try:
        await Sender(line, target, Signer(make_signing_account(), Random(1)), pace, sent=sent).send(traffic)
    finally:
        outages.cancel()
        await asyncio.wait([outages])
        await line.close()

    found = ended(Run(target="", seed=0, planned=480, seconds=0.0), sent)
    assert (found.created, found.delivered, found.waiting) == (480, 480, 0)
    assert found.balances
    assert any(attempt.status is None for delivery in sent for attempt in delivery.attempts), "there was an outage"
