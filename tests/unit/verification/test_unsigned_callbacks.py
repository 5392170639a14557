"""A callback that proves nothing about itself: whether an account lets its family come like that."""

from dataclasses import replace
from typing import Any

import pytest

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification import Verification
from tests.support.callbacks import callback, form_callback, get_callback, json_callback
from tests.support.factories import API_KEY, inbound_message
from tests.support.signing import account, judge, signed, verifier, with_token

SMS = {"msisdn": "447700900417", "messageId": "0C0000009D3E71A4", "text": "Moor at berth 7?", "type": "text"}
RECEIPT = {"msisdn": "447700900417", "messageId": "0C0000009D3E71A4", "status": "delivered"}
ALLOWED = frozenset({Family.INBOUND_SMS})


def verdict(found: Verification) -> tuple[Verdict, str, str | None]:
    return found.verdict, found.reason, found.account


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (get_callback(SMS), "no-sig"),
        (form_callback(RECEIPT), "no-sig"),
        (json_callback(inbound_message()), "no-token"),
        (json_callback({"request_id": "a Verify event"}), "no-token"),
        (callback(b"no fields at all"), "no-token"),
        (callback(b"[1]", content_type="application/json"), "no-token"),
        (callback(b" "), "no-token"),
        (callback(b"\xff\xfe"), "no-token"),
        (replace(json_callback(inbound_message()), authorization="Basic dTpw"), "no-token"),
        (replace(get_callback(SMS), authorization="Bearer " + signed()), "no-sig"),
    ],
)
def test_without_permission_it_is_unsigned_and_says_what_is_missing(sent: Callback, reason: str) -> None:
    assert verdict(judge(sent)) == (Verdict.UNSIGNED, reason, None)


def test_an_unsigned_callback_is_still_read() -> None:
    found = judge(json_callback(inbound_message()))
    assert found.family is Family.INBOUND_MESSAGE
    assert found.reading is not None


@pytest.mark.parametrize(
    ("family", "sent"),
    [
        (Family.INBOUND_SMS, get_callback(SMS)),
        (Family.DELIVERY_RECEIPT, form_callback(RECEIPT)),
        (Family.INBOUND_MESSAGE, json_callback(inbound_message())),
        (Family.MESSAGE_STATUS, json_callback({"message_uuid": "u", "status": "read"})),
        (Family.OTHER, json_callback({"request_id": "a Verify event"})),
    ],
)
def test_an_account_lets_the_families_pass_that_it_allows_and_no_others(family: Family, sent: Callback) -> None:
    allows_it = verifier(account(allow_unsigned=frozenset({family})))
    allows_the_rest = verifier(account(allow_unsigned=frozenset(Family) - {family}))
    found = judge(sent, by=allows_it)
    assert verdict(found) == (Verdict.VERIFIED, "allowed-unsigned", API_KEY)
    assert (found.family, found.secret) == (family, None)
    assert judge(sent, by=allows_the_rest).verdict is Verdict.UNSIGNED


def test_what_cannot_be_read_is_never_allowed() -> None:
    everything = verifier(account(allow_unsigned=frozenset(Family)))
    assert judge(callback(b"[1]", content_type="application/json"), by=everything).verdict is Verdict.UNSIGNED


def test_a_wrong_sig_or_token_does_not_pass_as_unsigned() -> None:
    everything = verifier(account(allow_unsigned=frozenset(Family)))
    assert judge(get_callback({**SMS, "sig": "0" * 32}), by=everything).verdict is Verdict.SUSPECT
    assert judge(get_callback({**SMS, "sig": "x"}), by=everything).verdict is Verdict.FORGED
    assert judge(with_token(signed(secret="guess")), by=everything).verdict is Verdict.SUSPECT
    assert judge(with_token("x"), by=everything).verdict is Verdict.FORGED


def test_the_permission_of_one_account_is_not_anothers() -> None:
    several = verifier(account(), account(api_key="b", allow_unsigned=ALLOWED))
    assert verdict(judge(get_callback({**SMS, "api-key": API_KEY}), by=several)) == (Verdict.UNSIGNED, "no-sig", None)
    assert judge(get_callback({**SMS, "api-key": "b"}), by=several).account == "b"
    assert judge(get_callback(SMS), by=several).account == "b"


def test_an_unknown_api_key_has_no_permission() -> None:
    found = judge(get_callback({**SMS, "api-key": "stranger"}), by=verifier(account(allow_unsigned=ALLOWED)))
    assert verdict(found) == (Verdict.UNSIGNED, "no-sig", None)
    assert found.claimed_account == "stranger"


def test_where_two_accounts_allow_it_and_nothing_tells_them_apart_no_account_is_named() -> None:
    both = verifier(account(allow_unsigned=ALLOWED), account(api_key="b", allow_unsigned=ALLOWED))
    assert verdict(judge(get_callback(SMS), by=both)) == (Verdict.VERIFIED, "allowed-unsigned", None)


@pytest.mark.parametrize("query", ["token=open%20sesame", "token=open+sesame", "x=1&token=open+sesame"])
def test_with_the_urls_token_it_passes(query: str) -> None:
    asks = verifier(account(allow_unsigned=ALLOWED, url_token="open sesame"))
    assert verdict(judge(replace(form_callback(SMS), query=query), by=asks))[:2] == (
        Verdict.VERIFIED,
        "allowed-unsigned",
    )


def test_in_a_get_the_urls_token_stands_among_the_parameters() -> None:
    asks = verifier(account(allow_unsigned=ALLOWED, url_token="open sesame"))
    assert judge(get_callback({**SMS, "token": "open sesame"}), by=asks).verdict is Verdict.VERIFIED


@pytest.mark.parametrize(
    "query",
    [
        *("", "token=", "token", "token=open", "token=OPEN+SESAME", "TOKEN=open+sesame"),
        *("token=open%20sesam%C3%A9", "token=%FF", "token=\udcff", "token=open+sesame&token=other"),
    ],
)
def test_without_it_or_with_another_it_does_not(query: str) -> None:
    asks = verifier(account(allow_unsigned=ALLOWED, url_token="open sesame"))
    found = judge(replace(form_callback(SMS), query=query), by=asks)
    assert verdict(found) == (Verdict.UNSIGNED, "url-token-mismatch", None)


def test_a_token_in_the_body_is_not_the_urls() -> None:
    asks = verifier(account(allow_unsigned=ALLOWED, url_token="open sesame"))
    assert judge(form_callback({**SMS, "token": "open sesame"}), by=asks).verdict is Verdict.UNSIGNED


@pytest.mark.parametrize("query", ["", "token=", "token=anything"])
def test_an_empty_url_token_opens_nothing(query: str) -> None:
    empty = verifier(account(allow_unsigned=ALLOWED, url_token=""))
    assert judge(replace(form_callback(SMS), query=query), by=empty).verdict is Verdict.UNSIGNED


def test_the_urls_token_tells_accounts_apart() -> None:
    settings: dict[str, Any] = {"allow_unsigned": ALLOWED}
    several = verifier(
        account(url_token="for a", **settings),
        account(api_key="b", url_token="for b", **settings),
        account(api_key="open", **settings),
    )
    accounts = [judge(get_callback({**SMS, "token": token}), by=several).account for token in ("for a", "for b", "no")]
    assert accounts == [API_KEY, "b", "open"]


@pytest.mark.parametrize("transport", [get_callback, form_callback, json_callback])
def test_without_a_secret_what_comes_signed_passes_where_unsigned_does(transport: Any) -> None:
    no_secret = verifier(account(secrets=(), allow_unsigned=ALLOWED))
    for fields in (SMS, {**SMS, "api-key": API_KEY}):
        sent = transport({**fields, "sig": "0" * 32})
        assert verdict(judge(sent, by=no_secret)) == (Verdict.VERIFIED, "allowed-unsigned", API_KEY)
    receipt = transport({**RECEIPT, "sig": "0" * 32})
    assert verdict(judge(receipt, by=no_secret)) == (Verdict.SUSPECT, "no-secret", None)


def test_without_a_secret_a_message_with_a_token_passes_where_unsigned_does() -> None:
    no_secret = verifier(account(secrets=(), allow_unsigned=frozenset({Family.INBOUND_MESSAGE})))
    found = judge(with_token(signed(secret="guess")), by=no_secret)
    assert verdict(found) == (Verdict.VERIFIED, "allowed-unsigned", API_KEY)
    assert (found.application_id, found.iat, found.secret) == (None, None, None)


def test_without_a_secret_the_urls_token_is_asked_of_what_comes_signed_too() -> None:
    asks = verifier(account(secrets=(), allow_unsigned=ALLOWED, url_token="sesame"))
    sent = {**SMS, "sig": "0" * 32}
    assert judge(get_callback({**sent, "token": "sesame"}), by=asks).verdict is Verdict.VERIFIED
    assert verdict(judge(get_callback({**sent, "token": "other"}), by=asks)) == (Verdict.SUSPECT, "no-secret", None)


def test_beside_an_account_with_a_secret_the_one_without_still_lets_its_families_pass() -> None:
    both = verifier(account(), account(api_key="b", secrets=(), allow_unsigned=ALLOWED))
    assert judge(get_callback({**SMS, "sig": "0" * 32}), by=both).account == "b"
    named = judge(get_callback({**SMS, "api-key": API_KEY, "sig": "0" * 32}), by=both)
    assert verdict(named) == (Verdict.SUSPECT, "signature-mismatch", API_KEY)


@pytest.mark.parametrize("sent", [SMS, {**SMS, "sig": "0" * 32}], ids=["unsigned", "signed"])
def test_more_evidence_never_means_less_trust(sent: dict[str, str]) -> None:
    for url_token in (None, "sesame"):
        by = verifier(account(secrets=(), allow_unsigned=ALLOWED, url_token=url_token))
        passes = judge(get_callback(SMS), by=by).verdict is Verdict.VERIFIED
        assert (judge(get_callback(sent), by=by).verdict is Verdict.VERIFIED) is passes
