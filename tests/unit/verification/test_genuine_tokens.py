"""A callback with a token that an account's secret signed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.token import payload_hash
from ackfirst.shared.policy import Verdict
from tests.support import nexmo
from tests.support.callbacks import FORM, any_json
from tests.support.factories import API_KEY, APPLICATION, NOW, SECRET, inbound_message
from tests.support.signing import BODY, IAT, JTI, account, judge, signed, verifier, with_token


def test_a_signed_message_is_verified_with_its_evidence() -> None:
    found = judge(with_token(signed()))
    assert (found.verdict, found.reason, found.family) == (Verdict.VERIFIED, "token", Family.INBOUND_MESSAGE)
    assert (found.account, found.claimed_account, found.application_id) == (API_KEY, API_KEY, APPLICATION)
    assert (found.iat, found.jti, found.secret, found.skew) == (IAT, JTI, 0, None)
    assert found.reading is not None
    assert found.reading.fields == inbound_message()


def test_a_token_that_other_code_signed_is_verified() -> None:
    assert judge(with_token(nexmo.token(BODY, iat=IAT))).verdict is Verdict.VERIFIED


@given(body=st.binary(min_size=1))
def test_any_signed_body_is_verified_or_kept_as_unreadable_and_never_refused(body: bytes) -> None:
    found = judge(with_token(signed(body), body))
    assert found.verdict is (Verdict.UNREADABLE if found.reading is None else Verdict.VERIFIED)
    assert found.account == API_KEY


@given(payload=st.dictionaries(st.text(), any_json, max_size=5))
def test_any_signed_object_is_verified(payload: dict[str, Any]) -> None:
    body = json.dumps(payload).encode()
    assert judge(with_token(signed(body), body)).verdict is Verdict.VERIFIED


@given(position=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_a_signed_body_with_one_bit_changed_is_forged(position: int, bit: int) -> None:
    changed = bytearray(BODY)
    changed[position] ^= 1 << bit
    found = judge(with_token(signed(), bytes(changed)))
    assert (found.verdict, found.reason) == (Verdict.FORGED, "payload-hash-mismatch")


def test_a_token_without_application_is_verified_for_the_account_alone() -> None:
    found = judge(with_token(signed(application_id=None)))
    assert (found.verdict, found.application_id) == (Verdict.VERIFIED, None)


def test_a_token_may_sign_a_form_too() -> None:
    body = b"messageId=0C0000009D3E71A4&msisdn=447700900417&status=delivered"
    found = judge(with_token(signed(body), body, content_type=FORM))
    assert (found.verdict, found.family) == (Verdict.VERIFIED, Family.DELIVERY_RECEIPT)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_query_beside_a_signed_body_does_not_speak(method: str) -> None:
    query = "messageId=evil&msisdn=1&text=evil"
    found = judge(with_token(signed(), method=method, query=query))
    assert found.verdict is Verdict.VERIFIED
    assert found.reading is not None
    assert found.reading.fields == inbound_message()


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "  Bearer   ", "\tBearer "])
def test_the_scheme_is_read_in_any_case_with_any_spaces(scheme: str) -> None:
    assert judge(with_token(signed() + "  ", scheme=scheme)).verdict is Verdict.VERIFIED


def test_during_a_rotation_either_secret_confirms_and_is_named() -> None:
    rotating = verifier(account(secrets=(b"the new one", b"the old one")))
    found = [judge(with_token(signed(secret=secret)), by=rotating) for secret in ("the new one", "the old one")]
    assert [(each.verdict, each.secret) for each in found] == [(Verdict.VERIFIED, 0), (Verdict.VERIFIED, 1)]


def test_each_account_is_confirmed_by_its_own_secret_only() -> None:
    both = verifier(account(), account(api_key="b", secrets=(b"secret of b",)))
    assert judge(with_token(signed(api_key="b", secret="secret of b")), by=both).account == "b"
    crossed = judge(with_token(signed(api_key="b", secret=SECRET)), by=both)
    assert (crossed.verdict, crossed.account) == (Verdict.SUSPECT, "b")


def test_a_signed_body_that_cannot_be_read_is_unreadable() -> None:
    found = judge(with_token(signed(b"[1, 2]"), b"[1, 2]"))
    assert (found.verdict, found.reason, found.account) == (Verdict.UNREADABLE, "unreadable-body", API_KEY)
    assert (found.reading, found.family) == (None, None)


def test_the_hash_may_come_in_upper_case() -> None:
    upper = nexmo.token(BODY, iat=IAT, payload_hash=payload_hash(BODY).upper())
    assert judge(with_token(upper)).verdict is Verdict.VERIFIED


@pytest.mark.parametrize("seconds", [0.0, 1.0, 300.0])
def test_a_time_of_issue_in_our_future_is_tolerated_and_measured(seconds: float) -> None:
    found = judge(with_token(signed()), now=NOW - seconds)
    assert found.verdict is Verdict.VERIFIED
    assert found.skew == (seconds or None)


@pytest.mark.parametrize("max_age", [None, 60.0])
@pytest.mark.parametrize("ahead", [301, 3600, 10 * 365 * 86_400, int(NOW * 999)])
def test_beyond_the_leeway_it_is_verified_all_the_same_and_the_reason_says_so(
    ahead: int, max_age: float | None
) -> None:
    found = judge(with_token(signed(iat=IAT + ahead)), by=verifier(max_age=max_age))
    assert (found.verdict, found.reason, found.account) == (Verdict.VERIFIED, "issued-in-the-future", API_KEY)
    assert (found.skew, found.secret) == (float(ahead), 0)


def test_an_old_token_is_verified_unless_an_age_is_set() -> None:
    days = NOW + 3 * 86_400
    assert judge(with_token(signed()), now=days).verdict is Verdict.VERIFIED
    limited = verifier(max_age=600)
    assert judge(with_token(signed()), by=limited, now=NOW + 600).verdict is Verdict.VERIFIED
    found = judge(with_token(signed()), by=limited, now=NOW + 601)
    assert (found.verdict, found.reason) == (Verdict.SUSPECT, "too-old")


def test_a_token_without_time_of_issue_is_suspect_only_where_an_age_is_set() -> None:
    timeless = with_token(nexmo.token(BODY, iat=None))
    assert judge(timeless).verdict is Verdict.VERIFIED
    found = judge(timeless, by=verifier(max_age=600))
    assert (found.verdict, found.reason) == (Verdict.SUSPECT, "no-iat")


@pytest.mark.parametrize("secret", [b"", b"-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"])
def test_a_secret_that_cannot_be_one_stops_the_start_and_names_the_account(secret: bytes) -> None:
    with pytest.raises(ConfigurationError, match=f"secret 2 of account {API_KEY}") as failure:
        verifier(account(secrets=(b"good", secret)))
    assert "BEGIN" not in str(failure.value)
