"""The work for callbacks that no secret confirms is bounded: by length, by number of secrets, by share of time."""

from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.nexmo import sms_signature
from ackfirst.shared.nexmo.sms_signature import METHODS, SmsMethod, sign_parameters
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification import Verification, Verifier
from ackfirst.shared.verification.secret_search import (
    ACCOUNTS_FOR_LONG_TEXTS,
    ACCOUNTS_IN_A_FLOOD,
    FRUITLESS_BURST_SECONDS,
    FRUITLESS_SHARE,
    MAX_SEARCHED_BYTES,
)
from tests.support.callbacks import form_callback
from tests.support.factories import NOW

SMS: Final = {"msisdn": "447700900417", "to": "12015550142", "messageId": "0C1", "type": "text"}
ACCOUNTS: Final = 1000
SECONDS_A_DIGEST: Final = 0.000_002


@dataclass
class World:
    """A verifier of 1,000 accounts with two secrets each, whose digests each take 2 µs of its clock."""

    monkeypatch: pytest.MonkeyPatch
    method: SmsMethod = "sha256"
    bounded: bool = True
    now: float = 0.0
    digests: int = 0
    verifier: Verifier = field(init=False)

    def __post_init__(self) -> None:
        accounts = [
            Account(api_key=f"k{n}", secrets=(b"%d a" % n, b"%d b" % n), sms_signature_method=self.method)
            for n in range(ACCOUNTS)
        ]
        self.verifier = Verifier(Accounts(accounts), clock=(lambda: self.now) if self.bounded else None)
        original: Any = sms_signature.SignatureCheck.is_made_with

        def counted(check: Any, secret: bytes, method: SmsMethod) -> bool:
            self.digests += 1
            self.now += SECONDS_A_DIGEST
            return bool(original(check, secret, method))

        self.monkeypatch.setattr(sms_signature.SignatureCheck, "is_made_with", counted)

    def see(self, secret: str, *, text: str = "hello", **fields: str) -> Verification:
        sent = {**SMS, **fields, "text": text}
        sig = sign_parameters(sent, secret=secret.encode(), method=self.method)
        self.digests = 0
        return self.verifier.verify(form_callback({**sent, "sig": sig}), now=NOW)

    def flood(self) -> None:
        for _ in range(200):
            self.see("guess")


@pytest.mark.parametrize("method", METHODS)
def test_whichever_account_signed_an_ordinary_sms_is_found(method: SmsMethod, monkeypatch: pytest.MonkeyPatch) -> None:
    around = World(monkeypatch, method)
    found = around.see("999 b")
    assert (found.verdict, found.account, found.secret) == (Verdict.VERIFIED, "k999", 1)


def test_the_account_that_was_confirmed_last_is_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    around = World(monkeypatch)
    around.see("999 b")
    around.see("999 b")
    assert around.digests == 2


def test_on_a_text_longer_than_any_sms_few_secrets_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    around = World(monkeypatch)
    found = around.see("999 b", text="x" * 100_000)
    assert (found.verdict, found.reason) == (Verdict.SUSPECT, "secrets-not-tried")
    assert around.digests == 2 * ACCOUNTS_FOR_LONG_TEXTS
    around.see("999 b")
    assert around.see("999 b", text="x" * 100_000).verdict is Verdict.VERIFIED  # it was confirmed lately


def test_a_long_text_that_names_its_account_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = World(monkeypatch).see("999 b", text="x" * 100_000, **{"api-key": "k999"})
    assert (found.verdict, found.account) == (Verdict.VERIFIED, "k999")


def test_with_few_accounts_nothing_is_left_untried(monkeypatch: pytest.MonkeyPatch) -> None:
    around = World(monkeypatch)
    few = Accounts([Account(api_key="a", secrets=(b"x", b"y")), Account(api_key="b", secrets=(b"z",))])
    around.verifier = Verifier(few, clock=lambda: around.now)
    assert around.see("guess", text="x" * MAX_SEARCHED_BYTES * 2).reason == "other-method"
    for _ in range(10):
        around.now += 1000
        assert around.see("guess").reason == "other-method"


def test_fruitless_searches_take_their_share_of_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    around = World(monkeypatch)
    around.flood()
    assert around.digests == 2 * ACCOUNTS_IN_A_FLOOD
    before, full = around.now, 0
    for _ in range(500):
        around.see("guess")
        full += around.digests == 2 * ACCOUNTS
        around.now += 0.01
    saved = FRUITLESS_BURST_SECONDS + FRUITLESS_SHARE * (around.now - before)
    assert 0 < full * 2 * ACCOUNTS * SECONDS_A_DIGEST <= saved


def test_in_a_flood_accounts_that_were_confirmed_lately_still_are(monkeypatch: pytest.MonkeyPatch) -> None:
    around = World(monkeypatch)
    around.see("999 b")
    around.flood()
    assert around.see("998 b").reason == "secrets-not-tried"
    found = around.see("999 b")
    assert (found.verdict, found.account) == (Verdict.VERIFIED, "k999")


def test_after_a_flood_every_secret_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    around = World(monkeypatch)
    around.flood()
    around.now += 60
    assert around.see("998 b").account == "k998"


def test_without_a_clock_everything_is_tried_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    around = World(monkeypatch, bounded=False)
    around.flood()
    assert around.see("999 b", text="x" * 100_000).account == "k999"
