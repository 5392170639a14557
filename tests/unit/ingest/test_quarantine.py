"""BoundedQuarantine while Redis hangs: senders are asked to retry, and memory stays bounded."""

import asyncio
from typing import cast

import pytest

from ackfirst.ingest.http import Arrival
from ackfirst.ingest.quarantine import UNWRITTEN_LIMIT_BYTES, BoundedQuarantine
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.policy import Verdict
from ackfirst.shared.quarantine.stream import Quarantine, QuarantineRecord
from ackfirst.shared.verification import Verification
from tests.support.callbacks import callback

SUSPECT = Verification(verdict=Verdict.SUSPECT, reason="unknown-api-key")
BIG = Arrival(callback(bytes(1024 * 1024)))


class HangingQuarantine:
    """Takes records only once it is let go."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        self.begun = 0

    async def add(self, record: QuarantineRecord, **_about: object) -> bool:
        self.begun += 1
        await self.goes_on.wait()
        return bool(record.body)


def make_bounded(quarantine: HangingQuarantine, *, rate: float = 1000.0) -> BoundedQuarantine:
    return BoundedQuarantine(cast("Quarantine", quarantine), rate=rate, deadline=0.01, clock=lambda: 0.0)


async def test_no_more_bodies_wait_for_a_redis_that_hangs_than_memory_is_meant_for() -> None:
    quarantine = HangingQuarantine()
    bounded = make_bounded(quarantine)
    for _ in range(100):
        with pytest.raises(QueueUnavailableError):
            await bounded.add(BIG, SUSPECT, Verdict.SUSPECT)
    assert quarantine.begun == UNWRITTEN_LIMIT_BYTES // len(BIG.callback.body)


async def test_there_is_room_again_when_redis_has_taken_them() -> None:
    quarantine = HangingQuarantine()
    bounded = make_bounded(quarantine)
    for _ in range(20):
        with pytest.raises(QueueUnavailableError):
            await bounded.add(BIG, SUSPECT, Verdict.SUSPECT)
    quarantine.goes_on.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [await bounded.add(BIG, SUSPECT, Verdict.SUSPECT) for _ in range(20)] == [True] * 20


async def test_the_rate_is_for_strangers_and_not_for_what_a_secret_of_ours_has_signed() -> None:
    quarantine = HangingQuarantine()
    quarantine.goes_on.set()
    bounded = make_bounded(quarantine, rate=2.0)
    ours = Verification(verdict=Verdict.SUSPECT, reason="too-old", account="a", secret=0)
    one = Arrival(callback(b"{}"))
    assert [await bounded.add(one, ours, Verdict.SUSPECT) for _ in range(20)] == [True] * 20
    assert [await bounded.add(one, SUSPECT, Verdict.SUSPECT) for _ in range(4)] == [True, True, False, False]
