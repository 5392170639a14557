"""The token of a Messages callback: signing, reading, and which verifiers accept it."""

import base64
import json
import warnings
from typing import Any

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.token import (
    MAX_TOKEN_CHARS,
    Claims,
    SecretError,
    TokenError,
    check_secret,
    parse,
    payload_hash,
    sign_token,
)
from tests.support.nexmo import compose, segment
from tests.support.signing import claims_for, signed

HS256 = {"alg": "HS256", "typ": "JWT"}

# The worked example of the contract with Nexmo (docs/nexmo.md).
EXAMPLE_SECRET = b"orchid-Lantern-42-visible-harbour"
EXAMPLE_BODY = (
    b'{"channel":"sms","message_uuid":"6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913","to":"12015550142",'
    b'"from":"447700900417","timestamp":"2026-03-04T09:15:27Z","text":"Tea & cake"}'
)
EXAMPLE_HASH = "6707563cd412da5b3f8cff0d962c9de58c4da26253712b4c057156aab17ed97f"
EXAMPLE_CLAIMS = Claims(
    api_key="k7m2p9qa",
    application_id="c4a1e7d0-52b3-4f6f-a9d8-3e0b7c612f45",
    iat=1772615728,
    jti="0b9d6a52-7f3e-4c1d-8e2a-94c5d1f06b37",
    iss="Vonage",
    payload_hash=EXAMPLE_HASH,
)
EXAMPLE_TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJpYXQiOjE3NzI2MTU3MjgsImp0aSI6IjBiOWQ2YTUyLTdmM2UtNGMxZC04ZTJhLTk0YzVkMWYwNmIzNyIsImlzcyI6IlZvbmFnZSIsInBheWxv"
    "YWRfaGFzaCI6IjY3MDc1NjNjZDQxMmRhNWIzZjhjZmYwZDk2MmM5ZGU1OGM0ZGEyNjI1MzcxMmI0YzA1NzE1NmFhYjE3ZWQ5N2YiLCJhcGlfa2V5"
    "IjoiazdtMnA5cWEiLCJhcHBsaWNhdGlvbl9pZCI6ImM0YTFlN2QwLTUyYjMtNGY2Zi1hOWQ4LTNlMGI3YzYxMmY0NSJ9."
    "zsTumNTBNOWE0Q_5fEb1NBgOOcHvZ-MI_g0bcWv1FOU"
)

secrets = st.binary(min_size=1, max_size=80)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def test_the_worked_example_is_read_and_confirmed() -> None:
    token = parse(EXAMPLE_TOKEN)
    assert token.claims == EXAMPLE_CLAIMS
    assert token.claims.cover(EXAMPLE_BODY)
    assert token.is_confirmed_by(EXAMPLE_SECRET)


def test_the_worked_example_is_signed_to_the_letter() -> None:
    assert payload_hash(EXAMPLE_BODY) == EXAMPLE_HASH
    signed_example = sign_token(
        secret=EXAMPLE_SECRET,
        body=EXAMPLE_BODY,
        api_key="k7m2p9qa",
        application_id="c4a1e7d0-52b3-4f6f-a9d8-3e0b7c612f45",
        iat=1772615728,
        jti="0b9d6a52-7f3e-4c1d-8e2a-94c5d1f06b37",
    )
    assert signed_example == EXAMPLE_TOKEN


@given(secret=secrets, body=st.binary(), api_key=texts, application=st.none() | texts, iat=st.integers(0, 2**40))
def test_what_is_signed_is_confirmed_by_its_secret_and_covers_its_body(
    secret: bytes, body: bytes, api_key: str, application: str | None, iat: int
) -> None:
    text = sign_token(secret=secret, body=body, api_key=api_key, application_id=application, iat=iat, jti="j")
    token = parse(text)
    assert token.is_confirmed_by(secret)
    assert token.claims.cover(body)
    assert token.claims == Claims(api_key, application, iat, "j", "Vonage", payload_hash(body))


@given(body=st.binary(min_size=1), position=st.integers(0), bit=st.integers(0, 7))
def test_a_body_with_one_bit_changed_is_not_covered(body: bytes, position: int, bit: int) -> None:
    changed = bytearray(body)
    changed[position % len(body)] ^= 1 << bit
    assert not parse(signed(body)).claims.cover(bytes(changed))


@given(secret=secrets, position=st.integers(0), bit=st.integers(0, 7))
def test_a_secret_with_one_bit_changed_confirms_nothing(secret: bytes, position: int, bit: int) -> None:
    other = bytearray(secret)
    other[position % len(secret)] ^= 1 << bit
    if other.rstrip(b"\0") == secret.rstrip(b"\0"):
        return  # HMAC itself pads a key with zero bytes
    token = sign_token(secret=secret, body=b"x", api_key="k", application_id=None, iat=0, jti="j")
    assert not parse(token).is_confirmed_by(bytes(other))


@given(name=st.sampled_from(sorted(claims_for())), value=texts | st.integers() | st.none() | st.lists(texts))
def test_a_claim_changed_after_signing_is_not_confirmed(name: str, value: Any) -> None:
    if claims_for()[name] == value:
        return
    header, _, signature = compose(HS256, claims_for()).split(".")
    forged = f"{header}.{segment(claims_for(**{name: value}))}.{signature}"
    assert not parse(forged).is_confirmed_by(EXAMPLE_SECRET)


@given(position=st.integers(0, len(EXAMPLE_TOKEN) - 1), character=st.characters())
def test_a_token_with_one_character_changed_is_malformed_or_not_confirmed(position: int, character: str) -> None:
    changed = EXAMPLE_TOKEN[:position] + character + EXAMPLE_TOKEN[position + 1 :]
    if changed == EXAMPLE_TOKEN:
        return
    try:
        token = parse(changed)
    except TokenError:
        return
    assert not token.is_confirmed_by(EXAMPLE_SECRET)


@given(text=st.text() | st.text(alphabet="eyJ.AZaz09-_= ", max_size=60))
@example(text="..")
@example(text="\udcff.\udcff.\udcff")
def test_no_text_makes_the_parser_raise_anything_but_its_own_error(text: str) -> None:
    with pytest.raises(TokenError):
        parse(text)


@given(header=st.binary(max_size=60), claims=st.binary(max_size=60), signature=st.binary(max_size=40))
def test_no_segments_make_the_parser_raise_anything_but_its_own_error(
    header: bytes, claims: bytes, signature: bytes
) -> None:
    with pytest.raises(TokenError):
        parse(".".join(map(segment, (header, claims, signature))))


@given(api_key=texts)
def test_claims_are_read_as_pyjwt_reads_them(api_key: str) -> None:
    text = compose(HS256, claims_for(api_key=api_key))
    theirs = jwt.decode(text, EXAMPLE_SECRET, algorithms=["HS256"], options={"verify_iat": False})
    assert parse(text).claims.api_key == theirs["api_key"] == api_key


@given(segment_text=st.text(alphabet="ABYZabyz0189-_=+/. \n", max_size=12))
def test_no_segment_is_accepted_that_pyjwt_refuses(segment_text: str) -> None:
    header, claims, _ = compose(HS256, claims_for()).split(".")
    text = f"{header}.{claims}.{segment_text}"
    try:
        parse(text)
    except TokenError:
        return
    assert jwt.PyJWS().decode_complete(text, options={"verify_signature": False})["signature"] is not None


@pytest.mark.parametrize("padding", ["=", "=="])
def test_padding_is_refused_which_shows_that_the_strict_reading_of_segments_is_in_force(padding: str) -> None:
    header, claims, signature = EXAMPLE_TOKEN.split(".")
    assert jwt.PyJWS().decode_complete(f"{header}.{claims}.{signature}=", EXAMPLE_SECRET, algorithms=["HS256"])
    with pytest.raises(TokenError, match="malformed-token"):
        parse(f"{header}.{claims}.{signature}{padding}")


def test_the_unused_bits_of_the_last_character_must_be_zero() -> None:
    assert EXAMPLE_TOKEN.endswith("U")
    with pytest.raises(TokenError, match="malformed-token"):
        parse(EXAMPLE_TOKEN[:-1] + "V")


def test_a_token_is_read_up_to_its_limit_and_not_beyond() -> None:
    room = MAX_TOKEN_CHARS - len(compose(HS256, claims_for(note="")))
    longest = compose(HS256, claims_for(note="x" * (room * 3 // 4 - 3)))
    assert MAX_TOKEN_CHARS - 8 <= len(longest) <= MAX_TOKEN_CHARS
    assert parse(longest).is_confirmed_by(EXAMPLE_SECRET)
    with pytest.raises(TokenError, match="token-too-long"):
        parse(longest + "A" * 12)


@pytest.mark.parametrize("odd", [None, "", [], {}, ["k7m2p9qa"], 7, True, "x" * 257])
def test_a_claim_that_is_not_the_expected_text_counts_as_absent(odd: Any) -> None:
    claims = parse(compose(HS256, claims_for(api_key=odd, application_id=odd, jti=odd, iss=odd))).claims
    assert (claims.api_key, claims.application_id, claims.jti, claims.iss) == (None, None, None, None)


@pytest.mark.parametrize("odd", ["", [], {}, ["x"], 7, True, False, "x" * 257])
def test_a_payload_hash_that_is_not_text_is_there_and_covers_nothing(odd: Any) -> None:
    claims = parse(compose(HS256, claims_for(payload_hash=odd))).claims
    assert claims.payload_hash == ""
    assert not claims.cover(b"")


def test_a_payload_hash_of_null_counts_as_absent() -> None:
    assert parse(compose(HS256, claims_for(payload_hash=None))).claims.payload_hash is None


@pytest.mark.parametrize(
    ("sent", "read"),
    [(12, 12), (12.9, 12), (-3, -3), (1e300, 2**53), (10**30, 2**53), (-(10**30), -(2**53))],
)
def test_an_absurd_time_of_issue_is_limited_not_lost(sent: float, read: int) -> None:
    assert parse(compose(HS256, claims_for(iat=sent))).claims.iat == read


@pytest.mark.parametrize("odd", ["1772615728", None, True, [1], {}])
def test_a_time_of_issue_that_is_no_number_counts_as_absent(odd: Any) -> None:
    assert parse(compose(HS256, claims_for(iat=odd))).claims.iat is None


def test_extra_claims_add_replace_and_leave_out() -> None:
    claims = parse(signed(iss="Other", payload_hash=None, extra="kept")).claims
    assert claims.iss == "Other"
    assert claims.payload_hash is None
    payload = signed(extra="kept").split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(payload + "=="))["extra"] == "kept"


def test_a_short_secret_signs_and_confirms_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_secret(b"short")
        assert parse(signed(secret="short")).is_confirmed_by(b"short")


@pytest.mark.parametrize(
    "unusable", [b"", b"-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----", b'{"kty":"oct"}']
)
def test_an_empty_secret_and_a_key_of_another_kind_are_refused(unusable: bytes) -> None:
    with pytest.raises(SecretError):
        check_secret(unusable)
    with pytest.raises(SecretError):
        sign_token(secret=unusable, body=b"", api_key="k", application_id=None, iat=0, jti="j")


def test_an_empty_secret_confirms_nothing_not_even_its_own_signature() -> None:
    token = parse(compose(HS256, claims_for(), secret=""))
    assert not token.is_confirmed_by(b"")


def test_neither_signature_nor_text_shows_in_a_tokens_representation() -> None:
    shown = repr(parse(EXAMPLE_TOKEN))
    assert EXAMPLE_TOKEN.split(".")[1] not in shown
    assert "signature" not in shown
