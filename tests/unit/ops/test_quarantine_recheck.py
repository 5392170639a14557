"""The core of a recheck: what is queued, what stays, and that nothing is let go of before the queue has it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.ingest.http import Arrival
from ackfirst.ingest.quarantine import quarantine_record
from ackfirst.ops.quarantine.recheck import BATCH, Finding, Outcome, Recheck, by_arrival, callback_of
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.policy import Verdict
from ackfirst.shared.quarantine.review import Entry
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.envelope_builder import build_envelope
from ackfirst.shared.verification import Verifier
from tests.support.callbacks import any_text
from tests.support.factories import API_KEY, NOW, SECRET
from tests.support.ingest import ACCOUNTS
from tests.support.quarantined import entry, message, sms

WRONG = {"secret": "an-old-secret-nobody-remembers-now"}


@dataclass
class World:
    """A queue and a quarantine of which each write may fail."""

    records: dict[str, Entry]
    queued: list[Envelope] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    refuse: set[int] = field(default_factory=set)
    """Events, by their place in the queue, that Redis refuses."""
    die_in_remove: bool = False

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[bool | QueueUnavailableError]:
        results: list[bool | QueueUnavailableError] = []
        for envelope in envelopes:
            if len(self.queued) in self.refuse:
                results.append(QueueUnavailableError("out of memory"))
                continue
            new = envelope.id not in {one.id for one in self.queued}
            results.append(new)
            if new:
                self.queued.append(envelope)
        return results

    async def remove(self, entry_ids: Sequence[str]) -> None:
        if self.die_in_remove and entry_ids:
            raise KeyboardInterrupt
        for entry_id in entry_ids:
            self.records.pop(entry_id, None)

    async def entries(self) -> AsyncIterator[Entry]:
        for one in list(self.records.values()):
            yield one

    def run(self, accounts: Accounts = ACCOUNTS) -> list[Outcome]:
        recheck = Recheck(
            judge=Verifier(accounts),
            accounts=accounts,
            queue=self,
            records=self,
            report=self.findings.append,
            clock=lambda: NOW,
        )
        self.findings.clear()
        asyncio.run(recheck.run(by_arrival(self.entries())))
        return [found.outcome for found in self.findings]

    @property
    def texts(self) -> list[str]:
        return [envelope.body.decode().partition('"text": "')[2].rstrip('"}') for envelope in self.queued]


def world(*records: QuarantineRecord | None) -> World:
    placed = [entry(record, number) for number, record in enumerate(records)]
    return World({one.id: one for one in placed})


def test_what_verifies_now_is_queued_in_order_of_arrival_and_leaves() -> None:
    around = world(message(1), message(0), message(3), message(2))
    assert around.run() == [Outcome.QUEUED] * 4
    assert around.texts == ["0", "1", "2", "3"]
    assert around.records == {}


def test_what_came_while_our_clock_was_slow_is_queued() -> None:
    around = world(message(0, received_at=NOW - 3600, claims={"iat": int(NOW)}))
    assert around.run() == [Outcome.QUEUED]
    assert around.findings[0].reason == "issued-in-the-future"


def test_what_still_fails_stays_with_todays_reason() -> None:
    around = world(message(0, claims=WRONG), message(1, claims={"api_key": "ffffffff"}, reason="no-secret"), message(2))
    assert around.run() == [Outcome.DOUBTFUL, Outcome.DOUBTFUL, Outcome.QUEUED]
    assert [found.reason for found in around.findings] == ["signature-mismatch", "unknown-api-key", "token"]
    assert len(around.records) == 2


def test_unreadable_and_unsigned_records_stay() -> None:
    broken = b"[1, 2"
    around = world(message(0, body=broken), sms(1), sms(2, verdict="unsigned-again", reason="no-sig"))
    assert around.run() == [Outcome.DOUBTFUL] * 3
    assert [found.verdict for found in around.findings] == ["forged", "unsigned", "unsigned"]
    assert not around.queued


def test_an_unsigned_record_is_queued_once_its_account_allows_it() -> None:
    trusting = Accounts([Account(api_key=API_KEY, secrets=(), allow_unsigned=frozenset({Family.INBOUND_SMS}))])
    around = world(sms(1), message(2))
    assert around.run(trusting) == [Outcome.DOUBTFUL, Outcome.QUEUED]
    assert [envelope.family for envelope in around.queued] == ["inbound-sms"]


def test_a_sig_is_checked_like_a_token() -> None:
    around = world(sms(1, secret=SECRET), sms(2, secret="another-secret-of-another-harbour"))
    assert sorted(around.run()) == [Outcome.DOUBTFUL, Outcome.QUEUED]


def test_a_token_is_judged_as_of_the_time_at_which_it_came() -> None:
    young_then = message(claims={"iat": int(NOW) - 5})
    assert Verifier(ACCOUNTS, max_age=10).verify(callback_of(young_then), now=NOW + 86400).verdict is Verdict.SUSPECT
    found = Verifier(ACCOUNTS, max_age=10).verify(callback_of(young_then), now=young_then.received_at)
    assert found.verdict is Verdict.VERIFIED


def test_the_second_delivery_of_an_event_is_a_duplicate_and_leaves() -> None:
    around = world(message(0), message(0), message(0))
    assert around.run() == [Outcome.QUEUED, Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert (len(around.queued), around.records) == (1, {})


def test_a_record_of_another_release_stays_and_blocks_no_other() -> None:
    around = world(None, message(1))
    assert around.run() == [Outcome.UNKNOWN, Outcome.QUEUED]
    assert len(around.records) == 1


def test_killed_between_queue_and_removal_the_next_run_finds_duplicates() -> None:
    around = world(*map(message, range(BATCH + 10)))
    around.die_in_remove = True
    with pytest.raises(KeyboardInterrupt):
        around.run()
    assert len(around.queued) == BATCH
    assert len(around.records) == BATCH + 10
    around.die_in_remove = False
    assert around.run().count(Outcome.DUPLICATE) == BATCH
    assert around.texts == [str(number) for number in range(BATCH + 10)]
    assert around.records == {}


def test_what_the_queue_refuses_stays_and_the_run_ends_there() -> None:
    around = world(*map(message, range(BATCH * 2)))
    around.refuse = {5}
    with pytest.raises(QueueUnavailableError, match="out of memory"):
        around.run()
    assert len(around.queued) == 5
    assert len(around.records) == BATCH * 2 - 5
    around.refuse = set()
    around.run()
    assert around.texts == [str(number) for number in range(BATCH * 2)]


@given(query=any_text, text=any_text, trace=st.none() | any_text.filter(bool), number=st.integers(0, 9))
def test_the_envelope_is_the_one_that_ingest_would_have_made(
    query: str, text: str, trace: str | None, number: int
) -> None:
    like = message(number)
    callback = Callback("POST", like.path, query, text, like.authorization, like.body, NOW + 0.1 * number)
    verification = Verifier(ACCOUNTS).verify(callback, now=callback.received_at)
    kept = quarantine_record(Arrival(callback, text, trace), verification, Verdict.SUSPECT)
    around = world(QuarantineRecord.decode(kept.encode()))
    assert around.run() == [Outcome.QUEUED]
    assert around.queued == [build_envelope(callback, verification, accounts=ACCOUNTS, trace=trace)]


@given(moves=st.lists(st.integers(0, 7), max_size=60))
def test_records_that_stand_near_their_place_get_to_it(moves: list[int]) -> None:
    # Each is late by less than eight places: the order in which simultaneous writers reach Redis.
    order = sorted(range(len(moves)), key=lambda number: number + moves[number])
    found = asyncio.run(_collect(entry(replace(message(), received_at=float(number))) for number in order))
    assert [one.record and one.record.received_at for one in found] == sorted(map(float, range(len(moves))))


async def _collect(entries: Iterable[Entry]) -> list[Entry]:
    async def stream() -> AsyncIterator[Entry]:
        for one in entries:
            yield one

    return [one async for one in by_arrival(stream(), window=8)]
