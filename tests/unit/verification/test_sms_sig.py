"""A callback of the SMS API that brings a ``sig``."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.sms_signature import METHODS, SmsMethod, base_string, sign_parameters
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification import Verification
from tests.support import nexmo
from tests.support.callbacks import callback, form_callback, get_callback, json_callback
from tests.support.factories import API_KEY, SECRET
from tests.support.signing import account, judge, verifier

INBOUND: Final = {
    "msisdn": "447700900417",
    "to": "12015550142",
    "messageId": "0C0000009D3E71A4",
    "text": "Tea & cake = café?",
    "type": "unicode",
    "keyword": "TEA",
    "api-key": API_KEY,
    "message-timestamp": "2026-03-04 09:15:27",
    "timestamp": "1772615727",
    "nonce": "5d0f3c1e-8a44-4b7e-9c2b-0e6f1a2b3c4d",
}
RECEIPT: Final = {"msisdn": "447700900417", "messageId": "0C0000009D3E71A5", "status": "delivered", "err-code": "0"}
ANONYMOUS: Final = {name: value for name, value in INBOUND.items() if name != "api-key"}

TRANSPORTS: Final = [get_callback, form_callback, json_callback]

# Text as a query or a form can hold it, and names that no delimiter of the scheme can blur.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = texts.filter(lambda name: name not in {"sig", "token", "api-key"} and not {"&", "="} & set(name))


def with_sig(parameters: dict[str, str], *, secret: str = SECRET, method: SmsMethod = "md5hash") -> dict[str, str]:
    return {**parameters, "sig": sign_parameters(parameters, secret=secret.encode(), method=method)}


def verdict(found: Verification) -> tuple[Verdict, str, str | None]:
    return found.verdict, found.reason, found.account


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("parameters", "family"), [(INBOUND, Family.INBOUND_SMS), (RECEIPT, Family.DELIVERY_RECEIPT)])
def test_a_signed_callback_is_verified_in_every_transport(
    transport: Callable[[dict[str, str]], Callback], parameters: dict[str, str], family: Family
) -> None:
    found = judge(transport(with_sig(parameters)))
    assert verdict(found) == (Verdict.VERIFIED, "sig", API_KEY)
    assert (found.family, found.secret, found.application_id, found.iat) == (family, 0, None, None)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_each_method_is_verified_by_an_account_that_uses_it(method: SmsMethod, case: Callable[[str], str]) -> None:
    sent = with_sig(INBOUND, method=method)
    uses_it = verifier(account(sms_signature_method=method))
    assert judge(get_callback({**sent, "sig": case(sent["sig"])}), by=uses_it).verdict is Verdict.VERIFIED


def test_a_sig_that_other_code_made_is_verified() -> None:
    assert judge(form_callback(nexmo.signed(RECEIPT))).verdict is Verdict.VERIFIED


@given(extra=st.dictionaries(names, texts, max_size=6), transport=st.sampled_from(TRANSPORTS))
def test_any_parameters_are_verified_known_or_not(extra: dict[str, str], transport: Any) -> None:
    assert judge(transport(with_sig({**extra, **INBOUND}))).verdict is Verdict.VERIFIED


@given(name=st.sampled_from(sorted(INBOUND)), value=texts, transport=st.sampled_from(TRANSPORTS))
def test_a_changed_value_is_never_verified(name: str, value: str, transport: Any) -> None:
    assume(base_string({"": INBOUND[name]}) != base_string({"": value}))  # the scheme itself takes & and = for _
    changed = {**with_sig(INBOUND), name: value}
    assert judge(transport(changed)).verdict is not Verdict.VERIFIED


@pytest.mark.parametrize("name", sorted(INBOUND))
def test_a_dropped_parameter_is_never_verified(name: str) -> None:
    dropped = {key: value for key, value in with_sig(INBOUND).items() if key != name}
    assert judge(get_callback(dropped)).verdict is not Verdict.VERIFIED


@pytest.mark.parametrize("sig", ["x", "0" * 31, "0" * 33, "g" * 32, "0" * 31 + "é", "0" * 100_000, " " + "0" * 32])
def test_a_sig_that_no_method_makes_is_forged(sig: str) -> None:
    assert verdict(judge(form_callback({**INBOUND, "sig": sig}))) == (Verdict.FORGED, "sig-not-hex", None)


@pytest.mark.parametrize("sig", ["", "null"])
def test_an_empty_sig_and_the_four_letters_null_are_no_sig(sig: str) -> None:
    assert verdict(judge(get_callback({**INBOUND, "sig": sig}))) == (Verdict.UNSIGNED, "no-sig", None)


@pytest.mark.parametrize("sig", [None, [], {}, True, ["0" * 32]])
def test_a_sig_that_is_not_text_is_no_sig(sig: Any) -> None:
    assert verdict(judge(json_callback({**INBOUND, "sig": sig}))) == (Verdict.UNSIGNED, "no-sig", None)


def test_a_sig_of_another_secret_is_suspect_and_names_our_account() -> None:
    found = judge(get_callback(with_sig(INBOUND, secret="guess")))
    assert verdict(found) == (Verdict.SUSPECT, "signature-mismatch", API_KEY)
    assert found.secret is None


def test_a_sig_of_another_length_tells_that_the_configured_method_is_not_the_accounts() -> None:
    found = judge(get_callback(with_sig(INBOUND, method="sha256")))
    assert verdict(found) == (Verdict.SUSPECT, "other-method", API_KEY)


def test_an_unknown_api_key_is_suspect_and_names_no_account_of_ours() -> None:
    found = judge(get_callback(with_sig({**INBOUND, "api-key": "stranger"})))
    assert verdict(found) == (Verdict.SUSPECT, "unknown-api-key", None)
    assert found.claimed_account == "stranger"


def test_an_account_without_secrets_is_suspect_and_says_why() -> None:
    found = judge(get_callback(with_sig(INBOUND)), by=verifier(account(secrets=())))
    assert verdict(found) == (Verdict.SUSPECT, "no-secret", API_KEY)


def test_without_an_api_key_the_account_whose_secret_confirms_is_the_account() -> None:
    several = verifier(account(), account(api_key="b", secrets=(b"x", b"secret of b"), sms_signature_method="sha512"))
    found = judge(get_callback(with_sig(ANONYMOUS, secret="secret of b", method="sha512")), by=several)
    assert verdict(found) == (Verdict.VERIFIED, "sig", "b")
    assert (found.secret, found.claimed_account) == (1, None)
    assert judge(get_callback(with_sig(ANONYMOUS)), by=several).account == API_KEY


def test_without_an_api_key_an_unconfirmed_sig_names_no_account() -> None:
    found = judge(get_callback(with_sig(ANONYMOUS, secret="guess")))
    assert verdict(found) == (Verdict.SUSPECT, "signature-mismatch", None)


def test_another_accounts_secret_does_not_confirm_a_named_account() -> None:
    several = verifier(account(), account(api_key="b", secrets=(b"secret of b",)))
    found = judge(get_callback(with_sig(INBOUND, secret="secret of b")), by=several)
    assert verdict(found) == (Verdict.SUSPECT, "signature-mismatch", API_KEY)


def test_during_a_rotation_either_secret_confirms_and_is_named() -> None:
    rotating = verifier(account(secrets=(b"new", b"old")))
    assert [judge(get_callback(with_sig(INBOUND, secret=key)), by=rotating).secret for key in ("new", "old")] == [0, 1]


def test_the_urls_own_token_is_not_expected_to_be_signed() -> None:
    sent = get_callback({"token": "of the operator", **with_sig(INBOUND)})
    assert judge(sent).verdict is Verdict.VERIFIED


def test_a_token_that_was_signed_is_accepted_as_well() -> None:
    assert judge(get_callback(with_sig({**INBOUND, "token": "signed"}))).verdict is Verdict.VERIFIED


def test_the_parameters_of_the_url_do_not_count_beside_a_form() -> None:
    sent = replace(form_callback(with_sig(RECEIPT)), query="status=failed&messageId=other")
    found = judge(sent)
    assert found.verdict is Verdict.VERIFIED
    assert found.reading is not None
    assert found.reading.fields["status"] == "delivered"


def test_a_captured_sig_does_not_fit_parameters_merged_into_one_name() -> None:
    sent = with_sig({"a": "1", **RECEIPT})
    rest = {name: value for name, value in sent.items() if name not in {"a", "err-code"}}
    merged = {**rest, "a=1&err-code": "0"}  # names are not delimited: both spell "&a=1&err-code=0…"
    assert base_string(merged) == base_string(sent)
    found = judge(form_callback(merged))
    assert verdict(found) == (Verdict.SUSPECT, "ambiguous-parameter", None)


def test_json_numbers_are_signed_by_their_literal_text_and_null_as_empty_text() -> None:
    sig = sign_parameters(
        {**RECEIPT, "price": "0.0710", "timestamp": "1772615727", "network-code": ""},
        secret=SECRET.encode(),
        method="md5hash",
    )
    fields = json.dumps({**RECEIPT, "network-code": None, "sig": sig})
    body = fields[:-1].encode() + b', "price": 0.0710, "timestamp": 1772615727}'
    assert judge(callback(body, content_type="application/json")).verdict is Verdict.VERIFIED


def test_bytes_that_are_not_utf_8_are_signed_as_they_are() -> None:
    text = b"caf\xe9".decode("utf-8", "surrogateescape")
    sig = with_sig({**ANONYMOUS, "text": text})["sig"]
    rest = {name: value for name, value in ANONYMOUS.items() if name != "text"}
    query = urlencode({**rest, "sig": sig, "text": ""}) + quote(b"caf\xe9")
    assert judge(callback(method="GET", query=query)).verdict is Verdict.VERIFIED


def test_of_a_repeated_parameter_the_one_that_is_signed_is_the_one_that_is_read() -> None:
    signed = urlencode(with_sig(RECEIPT))
    for sent, expected in ((f"status=failed&{signed}", Verdict.VERIFIED), (f"{signed}&status=failed", Verdict.SUSPECT)):
        found = judge(callback(method="GET", query=sent))
        assert found.verdict is expected
        assert found.reading is not None
        assert found.reading.fields["status"] == ("delivered" if expected is Verdict.VERIFIED else "failed")


def test_of_a_repeated_json_member_the_one_that_is_signed_is_the_one_that_is_read() -> None:
    signed = json.dumps(with_sig(RECEIPT))
    first = '{"status": "failed", "price": 1, ' + signed[1:]
    found = judge(callback(first.encode(), content_type="application/json"))
    assert found.verdict is Verdict.SUSPECT  # "price" is not signed
    assert found.reading is not None
    assert found.reading.fields["status"] == "delivered"


def test_a_bearer_token_without_a_body_does_not_take_the_place_of_the_sig() -> None:
    sent = replace(get_callback({**INBOUND, "sig": "0" * 32}), authorization="Bearer x.y.z")
    assert judge(sent).verdict is Verdict.SUSPECT


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "fields", [{"event": "opt-out"}, {"messageId": "1"}, {"status": "delivered"}, {"message_uuid": "m"}]
)
def test_a_signed_callback_of_no_known_family_is_verified_and_family_other(
    transport: Any, fields: dict[str, str]
) -> None:
    found = judge(transport(with_sig(fields)))
    assert (*verdict(found), found.family) == (Verdict.VERIFIED, "sig", API_KEY, Family.OTHER)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_whatever_brings_a_sig_is_judged_by_it(transport: Any) -> None:
    assert judge(transport({"event": "opt-out", "sig": "0" * 32})).verdict is Verdict.SUSPECT
    assert judge(transport({"event": "opt-out", "sig": "no-hex"})).verdict is Verdict.FORGED


def test_sms_json_that_says_it_is_a_form_is_verified() -> None:
    sent = replace(json_callback(with_sig(INBOUND)), content_type="application/x-www-form-urlencoded")
    found = judge(sent)
    assert (*verdict(found), found.family) == (Verdict.VERIFIED, "sig", API_KEY, Family.INBOUND_SMS)


def test_a_name_that_the_scheme_does_not_delimit_does_no_harm_in_the_webhooks_own_url() -> None:
    sent = get_callback({"a=1&b": "of the operator", **with_sig(INBOUND)})
    assert judge(sent).verdict is Verdict.VERIFIED
