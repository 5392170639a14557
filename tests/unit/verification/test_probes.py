"""The empty request by which Nexmo checks a URL when it is saved."""

from dataclasses import replace

import pytest

from ackfirst.shared.nexmo.sms import PARAMETERS
from ackfirst.shared.policy import Verdict
from tests.support.callbacks import callback, get_callback
from tests.support.signing import account, judge, signed, verifier

METHODS = ["GET", "HEAD", "POST"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("query", ["", "token=secret", "token=", "token=a&token=b", "&"])
def test_a_request_without_body_and_parameters_of_its_own_is_a_probe(method: str, query: str) -> None:
    found = judge(callback(method=method, query=query))
    assert (found.verdict, found.reason, found.account) == (Verdict.PROBE, "empty-request", None)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_one_with_a_token_in_the_header_too(method: str) -> None:
    for authorization in ("Bearer x", f"Bearer {signed(b'')}", "Basic x"):
        assert judge(replace(callback(method=method), authorization=authorization)).verdict is Verdict.PROBE


def test_it_is_one_for_every_account_even_with_a_url_token() -> None:
    asks = verifier(account(url_token="secret", allow_unsigned=frozenset()))
    assert judge(callback(method="GET", query="token=wrong"), by=asks).verdict is Verdict.PROBE


@pytest.mark.parametrize("query", ["key=x", "Token=secret", "a=1&b=2", "tok%65n=secret", "caf%C3%A9=1", "flag"])
def test_the_check_of_a_url_with_parameters_of_the_operators_own_is_one(query: str) -> None:
    assert judge(callback(method="GET", query=query)).verdict is Verdict.PROBE


@pytest.mark.parametrize("name", sorted(PARAMETERS - {"sig"}))
def test_a_request_with_any_parameter_of_the_sms_api_is_not(name: str) -> None:
    assert judge(callback(method="GET", query=f"token=secret&{name}=1")).verdict is Verdict.UNSIGNED


def test_a_request_with_a_sig_is_judged_by_it() -> None:
    assert judge(callback(method="GET", query="sig=" + "0" * 32)).verdict is Verdict.SUSPECT
    assert judge(callback(method="GET", query="key=x&sig=no-hex")).verdict is Verdict.FORGED


def test_a_request_with_a_body_is_not() -> None:
    assert judge(callback(b"token=secret")).verdict is Verdict.UNSIGNED
    assert judge(callback(b"{}", content_type="application/json")).verdict is Verdict.UNSIGNED


def test_a_request_with_too_many_parameters_to_read_is_not() -> None:
    assert judge(callback(method="GET", query="token=&" * 100_000)).verdict is Verdict.UNSIGNED
    assert judge(get_callback({f"p{number}": "" for number in range(5000)})).verdict is Verdict.UNSIGNED
