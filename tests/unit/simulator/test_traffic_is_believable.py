"""Whatever is planned as genuine verifies, whatever is forged does not, and all of it means what it should."""

from random import Random

import pytest

from ackfirst.shared.nexmo.classify import classify
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.identity import event_id
from ackfirst.shared.nexmo.normalise import normalise
from ackfirst.shared.nexmo.reading import read
from ackfirst.shared.nexmo.sms_signature import METHODS, SmsMethod
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification import Verification, Verifier
from ackfirst.simulator.account import SigningAccount
from ackfirst.simulator.planned import Kind, Planned, Tampering
from ackfirst.simulator.signing import Signer
from tests.support.factories import NOW
from tests.support.simulated import as_received, make_signing_account, plan, receiver_of

SAMPLE = 1200


def _verified(account: SigningAccount, made: list[Planned], **receiver: object) -> list[tuple[Planned, Verification]]:
    """What a receiver finds at the first attempt."""
    verifier = Verifier(receiver_of(account, **receiver))
    signer = Signer(account, Random(2))
    found = []
    for one in made:
        request = signer.request(one, signed=one.kind is not Kind.UNSIGNED, now=NOW)
        found.append((one, verifier.verify(as_received(request), now=NOW)))
    return found


@pytest.mark.parametrize("method", METHODS)
def test_a_receiver_finds_what_was_planned(method: SmsMethod) -> None:
    account = make_signing_account(sms_method=method)
    found = _verified(account, plan(SAMPLE, account=account))

    wrong = {(one.kind, one.tampering, got.verdict, got.reason) for one, got in found if got.verdict is not one.verdict}
    assert wrong == set()
    assert {one.tampering for one, _ in found} == {None, *Tampering}


def test_nothing_forged_is_ever_verified_and_everything_genuine_is() -> None:
    account = make_signing_account()
    for one, got in _verified(account, plan(SAMPLE, account=account)):
        if one.kind is not Kind.UNSIGNED:
            assert (got.verdict is Verdict.VERIFIED) is not one.kind.is_forged


def test_the_signed_retry_of_an_unsigned_callback_is_genuine() -> None:
    account = make_signing_account()
    verifier, signer = Verifier(receiver_of(account)), Signer(account, Random(2))
    unsigned = [one for one in plan(SAMPLE) if one.kind is Kind.UNSIGNED]

    assert {one.content.has_token for one in unsigned} == {True, False}
    for one in unsigned:
        retry = as_received(signer.request(one, signed=True, now=NOW))
        assert verifier.verify(retry, now=NOW).verdict is Verdict.VERIFIED


def test_a_receiver_computes_the_event_id_that_the_plan_names() -> None:
    account = make_signing_account()
    signer = Signer(account, Random(2))
    for one in plan(SAMPLE):
        request = signer.request(one, signed=True, now=NOW)
        reading = read(as_received(request))
        assert reading is not None
        family = classify(reading)
        assert family is one.content.family
        assert event_id(family, account.api_key, reading.fields, request.body or request.query.encode()) == one.event_id


def test_a_handler_would_see_the_planned_channel_status_and_content_type() -> None:
    signer = Signer(make_signing_account(), Random(2))
    for one in plan(SAMPLE):
        request = signer.request(one, signed=True, now=NOW)
        reading = read(as_received(request))
        assert reading is not None
        event = normalise(
            id="m-0",
            family=one.content.family,
            reading=reading,
            account=None,
            application_id=None,
            received_at=NOW,
            raw=request.body,
        )
        seen = (event.channel, event.status, event.content_type)
        assert seen == (one.content.channel, one.content.status, one.content.content_type), reading.fields


def test_families_that_may_come_unsigned_are_verified_without_signature() -> None:
    allowed = frozenset({Family.INBOUND_SMS, Family.DELIVERY_RECEIPT})
    account = make_signing_account(allow_unsigned=allowed, url_token="a-token-of-the-url")
    found = _verified(account, plan(SAMPLE, account=account))

    wrong = {(one.kind, one.tampering, got.verdict, got.reason) for one, got in found if got.verdict is not one.verdict}
    assert wrong == set()
    assert any(one.kind is Kind.UNSIGNED and one.verdict is Verdict.VERIFIED for one, _ in found)


def test_a_receiver_with_other_secrets_believes_nothing() -> None:
    account = make_signing_account()
    for _, got in _verified(account, plan(SAMPLE), secrets=(b"another-secret-0123456789-abcdefg",)):
        assert got.verdict is not Verdict.VERIFIED


def test_each_attempt_is_signed_afresh() -> None:
    signer = Signer(make_signing_account(), Random(2))
    for one in plan(50):
        first, second = (signer.request(one, signed=True, now=NOW) for _ in range(2))
        assert (first.query, first.headers, first.body) != (second.query, second.headers, second.body)


def test_a_token_is_never_shown_by_repr() -> None:
    signer = Signer(make_signing_account(), Random(2))
    assert all("Bearer" not in repr(signer.request(one, signed=True, now=NOW)) for one in plan(50))
