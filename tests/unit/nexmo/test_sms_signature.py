"""The ``sig`` of the SMS API: five methods, and what each of them covers."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.sms_signature import (
    METHODS,
    SmsMethod,
    base_string,
    fits,
    is_well_formed,
    matches,
    sign_parameters,
)

# The worked example of the contract with Nexmo (docs/nexmo.md).
SECRET = b"orchid-Lantern-42-visible-harbour"
PARAMETERS = {
    "msisdn": "447700900417",
    "to": "12015550142",
    "messageId": "0C0000009D3E71A4",
    "text": "Tea & cake = café?",
    "type": "unicode",
    "keyword": "TEA",
    "api-key": "k7m2p9qa",
    "message-timestamp": "2026-03-04 09:15:27",
    "timestamp": "1772615727",
    "nonce": "5d0f3c1e-8a44-4b7e-9c2b-0e6f1a2b3c4d",
}
BASE = (
    "&api-key=k7m2p9qa&keyword=TEA&message-timestamp=2026-03-04 09:15:27&messageId=0C0000009D3E71A4"
    "&msisdn=447700900417&nonce=5d0f3c1e-8a44-4b7e-9c2b-0e6f1a2b3c4d&text=Tea _ cake _ café?"
    "&timestamp=1772615727&to=12015550142&type=unicode"
)
SIGNATURES = {
    "md5hash": "2293101cd65807fe7bcbc28e901b5af5",
    "md5": "80E35788390CB693AEE82620AB7EFBE5",
    "sha1": "3704C8AD3CDBFBE23FBEC0D648DC52584E908582",
    "sha256": "BDB6EDA25C9813FEB8CE24ADF4A9807CDDAE441A46ED1125B9BEB693AE22B3A9",
    "sha512": (
        "DB09EB9F83C9B81C95B46D876EC1C9CD3CFE040D2B182FAD9C9371001E02640C"
        "B028365954B3D864996DDEADDA0E9DEF88576D70F217475FB831094C113E72E0"
    ),
}

methods = st.sampled_from(METHODS)
secrets = st.binary(min_size=1, max_size=60)
texts = st.text(max_size=20) | st.text(alphabet="&=_ +%\0é€😀\udc80\ud800", max_size=12)
parameter_sets = st.dictionaries(texts, texts, max_size=8)


@pytest.mark.parametrize("method", METHODS)
def test_the_worked_example_is_signed_to_the_letter(method: SmsMethod) -> None:
    assert sign_parameters(PARAMETERS, secret=SECRET, method=method) == SIGNATURES[method]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_the_worked_example_is_confirmed_in_either_case(method: SmsMethod, case: Callable[[str], str]) -> None:
    assert matches({**PARAMETERS, "sig": "any"}, case(SIGNATURES[method]), secret=SECRET, method=method)


@pytest.mark.parametrize("method", METHODS)
def test_a_signature_of_one_method_is_none_of_another(method: SmsMethod) -> None:
    agreeing = [other for other in METHODS if matches(PARAMETERS, SIGNATURES[method], secret=SECRET, method=other)]
    assert agreeing == [method]


def test_the_base_string_is_sorted_by_byte_with_delimiters_replaced_in_values_only() -> None:
    assert base_string(PARAMETERS).decode() == BASE
    assert base_string({"b": "", "a&=": "&=", "Z": "_"}) == b"&Z=_&a&==__&b="


def test_keys_are_sorted_by_their_bytes_even_where_these_are_not_utf_8() -> None:
    undecodable = {byte.decode("utf-8", "surrogateescape"): "" for byte in (b"\xff", b"\x80")}
    assert base_string({"é": "", **undecodable}) == b"&\x80=&\xc3\xa9=&\xff="


@given(parameters=parameter_sets, secret=secrets, method=methods)
@example(parameters={}, secret=b"s", method="md5hash")
def test_what_is_signed_is_confirmed(parameters: dict[str, str], secret: bytes, method: SmsMethod) -> None:
    sig = sign_parameters(parameters, secret=secret, method=method)
    assert is_well_formed(sig)
    assert fits(sig, method)
    assert matches({**parameters, "sig": sig}, sig, secret=secret, method=method)


@given(parameters=parameter_sets, secret=secrets, other=secrets, method=methods)
def test_another_secret_confirms_nothing(
    parameters: dict[str, str], secret: bytes, other: bytes, method: SmsMethod
) -> None:
    assume(secret.rstrip(b"\0") != other.rstrip(b"\0"))  # HMAC itself pads a key with zero bytes
    sig = sign_parameters(parameters, secret=secret, method=method)
    assert not matches(parameters, sig, secret=other, method=method)


@given(parameters=parameter_sets, name=st.sampled_from(sorted(PARAMETERS)), value=texts, method=methods)
def test_a_changed_value_is_not_confirmed(parameters: dict[str, str], name: str, value: Any, method: SmsMethod) -> None:
    before = {**parameters, **PARAMETERS}
    after = {**before, name: value}
    assume(_collapsed(before[name]) != _collapsed(value))
    sig = sign_parameters(before, secret=SECRET, method=method)
    assert not matches(after, sig, secret=SECRET, method=method)


@given(name=st.sampled_from(sorted(PARAMETERS)), method=methods)
def test_a_parameter_that_is_dropped_renamed_or_added_is_not_confirmed(name: str, method: SmsMethod) -> None:
    rest = {key: value for key, value in PARAMETERS.items() if key != name}
    for changed in (rest, {**rest, name + "x": PARAMETERS[name]}, {**PARAMETERS, "unknown": ""}):
        assert not matches(changed, SIGNATURES[method], secret=SECRET, method=method)


def test_the_schemes_own_weakness_is_that_three_characters_of_a_value_are_one() -> None:
    for text in ("Tea & cake = café?", "Tea _ cake _ café?", "Tea = cake & café?"):
        assert matches({**PARAMETERS, "text": text}, SIGNATURES["sha256"], secret=SECRET, method="sha256")


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_secret_neither_signs_nor_confirms(method: SmsMethod) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        sign_parameters(PARAMETERS, secret=b"", method=method)
    base = base_string(PARAMETERS)
    with_nothing = hashlib.md5(base).hexdigest() if method == "md5hash" else hmac.digest(b"", base, method).hex()
    assert not matches(PARAMETERS, with_nothing, secret=b"", method=method)


@pytest.mark.parametrize("digits", [32, 40, 64, 128])
def test_hex_of_a_methods_length_is_well_formed(digits: int) -> None:
    assert is_well_formed("0aF9" * (digits // 4))


@pytest.mark.parametrize(
    "sig",
    [
        *(
            "",
            "null",
            "a" * 31,
            "a" * 33,
            "g" * 32,
            "a" * 31 + "\n",
            " " + "a" * 31,
            "a" * 31 + "\u0663",
            "0x" + "a" * 30,
        ),
        *(None, 12, [], {}, b"a" * 32, True),
    ],
)
def test_anything_else_is_not(sig: Any) -> None:
    assert not is_well_formed(sig)


@given(sig=st.text() | st.text(alphabet="0123456789abcdefABCDEF\udcffé", min_size=31, max_size=33), method=methods)
def test_no_text_is_taken_for_a_signature_and_none_raises(sig: Any, method: SmsMethod) -> None:
    assert not matches(PARAMETERS, sig, secret=b"some other secret", method=method)


def _collapsed(value: str) -> bytes:
    return base_string({"": value})
