"""When an account's callbacks count as all unconfirmed: reported once at each change, and bounded whatever is sent."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from ackfirst.ingest.alarm import Alarm
from ackfirst.ingest.metrics import IngestMetrics
from ackfirst.ingest.unconfirmed import QUIET_SECONDS, UNKNOWN_LIMIT, UNKNOWN_MEMORY_SECONDS, UnconfirmedAccounts
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification import Verification
from tests.support.callbacks import any_text, json_callback
from tests.support.ingest import RecordingLog

OURS = ("k7m2p9qa", "b3n8x1zz")
A, B = OURS
BEGAN, OVER = "account.unconfirmed", "account.confirmed-again"


@dataclass
class World:
    """An alarm whose verifier says what the test wants."""

    log: RecordingLog = field(default_factory=RecordingLog)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    verification: Verification = field(default_factory=lambda: confirmed(A))
    now: float = 1_772_615_728.0

    def __post_init__(self) -> None:
        self.alarm = Alarm(self, OURS, log=self.log, metrics=IngestMetrics(self.registry))

    def verify(self, callback: Callback, *, now: float) -> Verification:
        return self.verification

    def see(self, *verifications: Verification, every: float = 1.0) -> list[str]:
        """The lines that each of them brought."""
        before = len(self.log.lines)
        for self.verification in verifications:
            assert self.alarm.verify(json_callback({}), now=self.now) is self.verification
            self.now += every
        return [line["event"] for line in self.log.lines[before:]]

    def gauge(self, account: str) -> float | None:
        return self.registry.get_sample_value("ackfirst_account_unconfirmed", {"account": account})

    @property
    def unknown(self) -> float | None:
        return self.registry.get_sample_value("ackfirst_unknown_accounts")


def confirmed(account: str, *, claimed: str | None = A, verdict: Verdict = Verdict.VERIFIED) -> Verification:
    return Verification(verdict=verdict, reason="token", account=account, claimed_account=claimed, secret=0)


def doubtful(account: str | None, reason: str = "signature-mismatch") -> Verification:
    known = account if account in OURS else None
    return Verification(verdict=Verdict.SUSPECT, reason=reason, account=known, claimed_account=account)


def test_an_account_that_was_never_confirmed_is_named_at_its_first_callback_and_once() -> None:
    around = World()
    assert around.see(*[doubtful(A)] * 500) == [BEGAN]
    [line] = around.log.lines
    assert (line["level"], line["account"], line["since"]) == ("warning", A, "2026-03-04T09:15:28+00:00")
    assert around.alarm.shown() == [
        {"account": A, "since": "2026-03-04T09:15:28+00:00", "callbacks": 500, "reason": "signature-mismatch"}
    ]
    assert (around.gauge(A), around.gauge(B)) == (1, 0)


def test_verified_tokens_of_the_future_alarm_about_our_clock_once_a_minute_and_about_no_account() -> None:
    around = World()
    early = replace(confirmed(A), reason="issued-in-the-future", skew=3600.0)
    assert around.see(early, early) == ["clock.behind"]
    [line] = around.log.lines
    assert (line["level"], line["skew"], line["account"]) == ("warning", 3600.0, A)
    assert "clock of this machine" in line["check"]
    assert (around.gauge(A), around.alarm.shown()) == (0, [])
    around.now += 60
    assert around.see(early) == ["clock.behind"]


def test_one_confirmed_callback_ends_it() -> None:
    around = World()
    assert around.see(doubtful(A), doubtful(A), confirmed(A), confirmed(A)) == [BEGAN, OVER]
    assert around.log.lines[-1]["callbacks"] == 2
    assert (around.gauge(A), around.alarm.shown()) == (0, [])


def test_an_unreadable_body_with_a_good_signature_confirms_the_secret() -> None:
    assert World().see(doubtful(A), confirmed(A, verdict=Verdict.UNREADABLE)) == [BEGAN, OVER]


def test_one_that_comes_unsigned_confirms_nothing() -> None:
    allowed = Verification(verdict=Verdict.VERIFIED, reason="allowed-unsigned", account=A)
    around = World()
    assert around.see(doubtful(A), allowed) == [BEGAN]
    assert len(around.alarm.shown()) == 1


def test_a_secret_that_changes_while_it_works_is_noticed_after_a_quiet_time_and_dated_back() -> None:
    around = World()
    assert around.see(confirmed(A)) == []
    began = around.now
    assert around.see(*[doubtful(A)] * int(QUIET_SECONDS - 1)) == []
    assert around.alarm.shown() == []
    assert around.see(doubtful(A)) == [BEGAN]
    assert around.alarm._suspects.all()[0].since == began


def test_a_stranger_who_knows_the_api_key_cannot_raise_the_alarm_between_genuine_callbacks() -> None:
    around = World()
    assert around.see(*[confirmed(A), doubtful(A), doubtful(A)] * 200) == []


def test_accounts_do_not_mix() -> None:
    around = World()
    assert around.see(confirmed(B, claimed=B), doubtful(A), confirmed(B, claimed=B)) == [BEGAN]
    assert (around.gauge(A), around.gauge(B)) == (1, 0)


def test_callbacks_that_name_no_account_are_a_case_of_their_own() -> None:
    around = World()
    assert around.see(doubtful(None), doubtful(None)) == [BEGAN]
    assert around.gauge("none") == 1
    assert around.see(confirmed(A)) == []
    assert around.see(confirmed(A, claimed=None)) == [OVER]
    assert around.gauge("none") == 0


def test_an_account_that_is_not_ours_is_named_once_and_is_no_label() -> None:
    around = World()
    assert around.see(*[doubtful("ffffffff", "unknown-api-key")] * 50) == [BEGAN]
    [shown] = around.alarm.shown()
    assert (shown["account"], shown["claimed_account"], shown["callbacks"]) == (None, "ffffffff", 50)
    assert (around.gauge("ffffffff"), around.unknown) == (None, 1)


def test_a_flood_of_made_up_accounts_is_a_few_lines_an_hour() -> None:
    around = World()
    lines = around.see(*[doubtful(f"{number:08x}") for number in range(1000)], every=0.01)
    assert lines == [BEGAN] * UNKNOWN_LIMIT
    assert around.unknown == UNKNOWN_LIMIT
    around.now += UNKNOWN_MEMORY_SECONDS + 1
    assert around.see(doubtful("later")) == [BEGAN]
    assert [one["claimed_account"] for one in around.alarm.shown()] == ["later"]


def test_an_account_that_is_not_ours_is_forgotten_at_the_first_callback_after_an_hour_of_silence() -> None:
    around = World()
    around.see(doubtful("ffffffff"), confirmed(A))
    assert around.unknown == 1
    around.now += UNKNOWN_MEMORY_SECONDS
    around.see(confirmed(A))
    assert (around.unknown, around.alarm.shown()) == (0, [])


def test_a_stranger_who_calls_himself_none_is_a_stranger() -> None:
    around = World()
    around.see(doubtful("none"))
    assert around.gauge("none") == 0


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_clock_that_is_set_does_not_silence_the_alarm_for_long(step: float) -> None:
    around = World()
    around.see(confirmed(A))
    around.now += step
    assert around.see(doubtful(A)) == [BEGAN]


@given(
    seen=st.lists(
        st.tuples(st.sampled_from([*OURS, None, "ffffffff"]) | any_text, st.booleans(), st.floats(0, 100)), max_size=60
    )
)
def test_changes_alternate_and_all_agrees_with_them(seen: list[tuple[str | None, bool, float]]) -> None:
    suspects, now, on = UnconfirmedAccounts(frozenset(OURS)), 0.0, set()
    for account, good, pause in seen:
        now += pause
        for change in suspects.observe(confirmed(A, claimed=account) if good else doubtful(account), now):
            name = (change.suspect.account, change.suspect.ours)
            assert (name in on) is change.is_well
            on ^= {name}
        ours = {name for name in on if name[1]}
        assert {(one.account, one.ours) for one in suspects.all() if one.ours} == ours
        assert sum(not one.ours for one in suspects.all()) <= UNKNOWN_LIMIT
