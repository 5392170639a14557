"""The core without a coroutine: the same answers as with one, each once, and nobody's trouble is a neighbour's."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import CollectorRegistry

from ackfirst.ingest.http import Answer, Arrival
from ackfirst.ingest.receiver import Receiver
from ackfirst.ingest.request_log import AckLog
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.metrics import IngestMetrics
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.reading import read
from ackfirst.shared.policy import Policy, Verdict
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.verification import Verification
from tests.support.callbacks import json_callback
from tests.support.factories import API_KEY, APPLICATION, inbound_message
from tests.support.ingest import ACCOUNTS, RecordingLog

Told = Callable[[bool | Exception], None]


@dataclass
class Sink:
    """Takes offers, and says what becomes of them when the test wants."""

    open: bool = True
    rescued: bool = True
    offered: list[tuple[Envelope, Told]] = field(default_factory=list)
    put_down: list[Envelope] = field(default_factory=list)

    def offer(self, envelope: Envelope, told: Told) -> bool:
        if self.open:
            self.offered.append((envelope, told))
        return self.open

    async def put(self, envelope: Envelope) -> None:
        self.put_down.append(envelope)

    async def rescue(self, envelope: Envelope, error: Exception) -> None:
        if not self.rescued or not isinstance(error, QueueUnavailableError):
            raise error
        self.put_down.append(envelope)


@dataclass
class Says:
    """A verifier that finds what each body says, and raises where it says nothing that it knows."""

    def verify(self, callback: Callback, *, now: float) -> Verification:
        verdict = Verdict(callback.content_type)
        return Verification(
            verdict=verdict,
            reason="said",
            account=API_KEY,
            application_id=APPLICATION,
            reading=read(replace(callback, content_type="application/json")),
            family=Family.INBOUND_MESSAGE,
        )


class Siding:
    """Has room."""

    async def park(self, arrival: Arrival, verification: Verification, verdict: Verdict) -> bool:
        return True


@dataclass
class World:
    """A receiver, and the answers that it gave in their order."""

    sink: Sink = field(default_factory=Sink)
    log: RecordingLog = field(default_factory=RecordingLog)
    answers: list[tuple[int, Answer]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.receiver = Receiver(
            accounts=ACCOUNTS,
            verifier=Says(),
            sink=self.sink,
            siding=Siding(),
            policy=Policy.NEVER_STALL,
            ack_log=AckLog(self.log, IngestMetrics(CollectorRegistry())),
            clock=lambda: 0.0,
        )

    async def begin(self, *verdicts: str) -> None:
        """Callbacks of one turn of the event loop."""
        for number, verdict in enumerate(verdicts):
            callback = replace(json_callback(inbound_message(message_uuid=f"{number}")), content_type=verdict)
            self.receiver.begin(Arrival(callback), lambda answer, number=number: self.answers.append((number, answer)))
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def statuses(self) -> dict[int, int]:
        assert len({number for number, _ in self.answers}) == len(self.answers), "each is answered once"
        return {number: answer.status for number, answer in self.answers}


async def test_an_event_is_answered_when_its_batch_is_confirmed_and_not_before() -> None:
    world = World()
    await world.begin("verified", "verified")
    assert world.statuses == {}
    for (_, told), new in zip(world.sink.offered, [True, False], strict=True):
        told(new)
    assert world.statuses == {0: 200, 1: 200}
    assert world.log.verdicts == ["verified", "duplicate"]


async def test_what_is_only_counted_or_parked_waits_for_no_batch() -> None:
    world = World()
    await world.begin("forged", "verified", "suspect", "probe")
    assert world.statuses == {0: 401, 2: 200, 3: 200}


async def test_a_callback_that_breaks_our_code_does_not_take_those_of_its_turn_with_it() -> None:
    world = World()
    await world.begin("verified", "no such verdict", "verified")
    for _, told in world.sink.offered:
        told(True)
    assert world.statuses == {0: 200, 1: 503, 2: 200}
    assert world.log.of("callback.failed")


async def test_what_redis_refuses_is_put_on_disk_and_answered_200() -> None:
    world = World()
    await world.begin("verified")
    ((envelope, told),) = world.sink.offered
    told(QueueUnavailableError("gone"))
    await world.settle()
    assert (world.statuses, world.sink.put_down) == ({0: 200}, [envelope])
    assert world.log.of("callback.received")[0]["reason"] == "spooled"


@pytest.mark.parametrize("error", [QueueUnavailableError("gone"), TypeError("cannot be written")])
async def test_what_can_be_durable_nowhere_is_asked_for_again(error: Exception) -> None:
    world = World(Sink(rescued=False))
    await world.begin("verified")
    world.sink.offered[0][1](error)
    await world.settle()
    assert world.statuses == {0: 503}
    assert bool(world.log.of("callback.failed")) == isinstance(error, TypeError)


async def test_while_redis_is_known_to_be_away_events_go_to_disk_at_once() -> None:
    world = World(Sink(open=False))
    await world.begin("verified", "verified")
    assert world.statuses == {0: 200, 1: 200}
    assert len(world.sink.put_down) == 2


async def test_an_answer_that_cannot_be_sent_does_not_keep_others_from_theirs() -> None:
    world = World()

    def broken(_answer: Answer) -> None:
        raise RuntimeError("the connection is closed")

    callback = replace(json_callback(inbound_message()), content_type="forged")
    world.receiver.begin(Arrival(callback), broken)
    await world.begin("forged")
    assert world.statuses == {0: 401}
    assert len(world.log.of("callback.failed")) == 1
