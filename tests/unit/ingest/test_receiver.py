"""The core: what each verdict leads to, and that it always has an answer."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from ackfirst.ingest.http import Answer, Arrival
from ackfirst.ingest.metrics import IngestMetrics
from ackfirst.ingest.receiver import Receiver
from ackfirst.ingest.request_log import RequestLog
from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.reading import read
from ackfirst.shared.policy import TABLE, Fate, Policy, Verdict, ruling
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.verification import Verification
from tests.support.callbacks import any_text, hostile_fields, json_callback
from tests.support.factories import API_KEY, APPLICATION, inbound_message
from tests.support.ingest import ACCOUNTS, RecordingLog

MESSAGE = json_callback(inbound_message())


@dataclass
class Sink:
    """An ``EventSink``: new ids are new, and ``error`` is raised when there is one."""

    error: Exception | None = None
    envelopes: list[Envelope] = field(default_factory=list)

    async def put(self, envelope: Envelope) -> bool:
        if self.error:
            raise self.error
        new = envelope.id not in {known.id for known in self.envelopes}
        self.envelopes.append(envelope)
        return new


@dataclass
class Store:
    """A ``QuarantineStore`` with or without room."""

    room: bool = True
    error: Exception | None = None
    stored: list[Verdict] = field(default_factory=list)

    async def add(self, arrival: Arrival, verification: Verification, verdict: Verdict) -> bool:
        if self.error:
            raise self.error
        if self.room:
            self.stored.append(verdict)
        return self.room


@dataclass
class Says:
    """A verifier that says what the test wants."""

    verification: Verification

    def verify(self, callback: Callback, *, now: float) -> Verification:
        return self.verification


@dataclass
class World:
    """A receiver and everything around it."""

    receiver: Receiver
    sink: Sink
    quarantine: Store
    log: RecordingLog
    registry: CollectorRegistry

    async def receive(self, callback: Callback = MESSAGE) -> Answer:
        return await self.receiver.receive(Arrival(callback))

    def counted(self, family: str, verdict: str) -> float | None:
        return self.registry.get_sample_value("ackfirst_callbacks_total", {"family": family, "verdict": verdict})


def verified(callback: Callback = MESSAGE, **overrides: Any) -> Verification:
    values = {
        "verdict": Verdict.VERIFIED,
        "reason": "signature",
        "account": API_KEY,
        "application_id": APPLICATION,
        "reading": read(callback),
        "family": Family.INBOUND_MESSAGE,
    }
    return Verification(**{**values, **overrides})


def world(
    verdict: Verdict | Verification,
    *,
    policy: Policy = Policy.NEVER_STALL,
    sink: Sink | None = None,
    quarantine: Store | None = None,
    accounts: Accounts = ACCOUNTS,
) -> World:
    says = verdict if isinstance(verdict, Verification) else verified(verdict=verdict)
    sink, quarantine, log, registry = sink or Sink(), quarantine or Store(), RecordingLog(), CollectorRegistry()
    receiver = Receiver(
        accounts=accounts,
        verifier=Says(says),
        sink=sink,
        quarantine=quarantine,
        policy=policy,
        request_log=RequestLog(log, IngestMetrics(registry)),
        clock=lambda: 0.0,
    )
    return World(receiver, sink, quarantine, log, registry)


FROM_VERIFICATION = [
    Verdict.VERIFIED,
    Verdict.PROBE,
    Verdict.UNREADABLE,
    Verdict.SUSPECT,
    Verdict.UNSIGNED,
    Verdict.FORGED,
]


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("verdict", FROM_VERIFICATION)
async def test_each_verdict_leads_to_what_the_table_says(verdict: Verdict, policy: Policy) -> None:
    around = world(verdict, policy=policy)
    answer = await around.receive()
    row = TABLE[verdict].under(policy)
    assert (answer.status, answer.retry_after) == (row.status, row.retry_after)
    assert answer.error == (None if row.status == 200 else verdict.value)
    assert bool(around.sink.envelopes) == (row.fate is Fate.QUEUED)
    assert around.quarantine.stored == ([verdict] if row.fate is Fate.QUARANTINED else [])
    assert around.log.verdicts == [verdict.value]
    assert around.counted("inbound-message", verdict.value) == 1


async def test_the_second_delivery_is_a_duplicate() -> None:
    around = world(Verdict.VERIFIED)
    assert [(await around.receive()).status for _ in range(3)] == [200, 200, 200]
    assert around.log.verdicts == ["verified", "duplicate", "duplicate"]


@pytest.mark.parametrize(("policy", "statuses"), [(Policy.NEVER_STALL, [503, 200, 200]), (Policy.STRICT, [401] * 3)])
async def test_an_unsigned_body_is_asked_for_once_and_then_stored(policy: Policy, statuses: list[int]) -> None:
    around = world(Verdict.UNSIGNED, policy=policy)
    answers = [await around.receive() for _ in range(3)]
    assert [answer.status for answer in answers] == statuses
    assert {answer.error for answer in answers} <= {None, "unsigned"}
    assert around.log.verdicts == ["unsigned", "unsigned-again", "unsigned-again"]


@pytest.mark.parametrize("policy", Policy)
async def test_a_full_quarantine_sheds(policy: Policy) -> None:
    around = world(Verdict.SUSPECT, policy=policy, quarantine=Store(room=False))
    answer = await around.receive()
    assert answer == Answer(429, "shed", ruling(Verdict.SHED, policy).retry_after)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("verdict", [Verdict.VERIFIED, Verdict.SUSPECT])
@pytest.mark.parametrize("error", [QueueUnavailableError("gone"), RuntimeError("nobody foresaw this")])
async def test_what_may_not_be_durable_is_asked_for_again(policy: Policy, verdict: Verdict, error: Exception) -> None:
    around = world(verdict, policy=policy, sink=Sink(error=error), quarantine=Store(error=error))
    assert await around.receive() == Answer(503, "unavailable", ruling(Verdict.UNAVAILABLE, policy).retry_after)
    assert around.log.verdicts == ["unavailable"]
    assert len(around.log.of("callback.failed")) == isinstance(error, RuntimeError)


async def test_a_verifier_that_raises_is_answered_503_with_a_traceback_in_the_log() -> None:
    around = world(Verdict.VERIFIED)
    around.receiver._verifier = object()  # type: ignore[assignment]
    assert (await around.receive()).status == 503
    assert around.log.of("callback.failed")


async def test_a_body_that_was_not_read_is_refused_and_counted() -> None:
    around = world(Verdict.VERIFIED)
    answer = around.receiver.refuse(Verdict.TOO_LARGE, "body-too-large", path="/webhooks/inbound-sms")
    assert answer == Answer(413, "too-large", None)
    assert around.counted("none", "too-large") == 1


async def test_the_log_line_has_what_joins_it_to_the_event_and_nothing_personal() -> None:
    around = world(verified(iat=5, skew=2.5))
    await around.receive()
    (line,) = around.log.of("callback.received")
    (envelope,) = around.sink.envelopes
    expected = {
        "event_id": envelope.id,
        "verdict": "verified",
        "reason": "signature",
        "family": "inbound-message",
        "account": API_KEY,
        "application": APPLICATION,
        "lane": f"{API_KEY}.{APPLICATION}",
        "message_id": inbound_message()["message_uuid"],
        "http_status": 200,
        "body_bytes": len(MESSAGE.body),
        "skew": 2.5,
        "lag": 1.0,
    }
    assert expected.items() <= line.items()
    assert not any(secret in str(line) for secret in ("447700900417", "12015550142", "Moor at berth"))


async def test_a_suspect_alarm_names_the_account_that_is_ours() -> None:
    around = world(verified(verdict=Verdict.SUSPECT, reason="signature-mismatch", application_id=None))
    await around.receive()
    (line,) = around.log.of("callback.received")
    assert (line["level"], line["account"]) == ("warning", API_KEY)


async def test_a_strangers_claim_is_logged_short_and_printable_and_is_no_label() -> None:
    claim = "\udc80" + "x" * 5000
    around = world(verified(verdict=Verdict.SUSPECT, account=None, claimed_account=claim, family=None, reading=None))
    await around.receive()
    (line,) = around.log.of("callback.received")
    assert len(line["claimed_account"].encode()) < 100
    assert around.counted("none", "suspect") == 1


@given(fields=hostile_fields, query=any_text, content_type=any_text, texts=any_text, number=st.integers())
async def test_whatever_a_signed_callback_holds_its_envelope_can_be_encoded(
    fields: dict[str, Any], query: str, content_type: str, texts: str, number: int
) -> None:
    callback = replace(json_callback(fields), query=query, content_type=content_type)
    says = verified(callback, application_id=texts, jti=texts, iat=number)
    if says.reading is None:
        return
    around = world(says)
    answer = await around.receiver.receive(Arrival(callback, texts, texts))
    (envelope,) = around.sink.envelopes
    assert answer.status == 200
    assert Envelope.decode(envelope.encode()) == envelope
    assert envelope.body == callback.body
