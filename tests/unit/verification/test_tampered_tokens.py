"""Every way to bend a token that we know of, each with the verdict that it earns. None may be verified."""

import base64
import json
from typing import Any, Final

import pytest

from ackfirst.shared.accounts import Accounts
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification import Verifier
from tests.support.factories import API_KEY, SECRET, inbound_message
from tests.support.nexmo import compose, segment
from tests.support.signing import BODY, account, claims_for, judge, signed, verifier, with_token

HS256: Final = {"alg": "HS256", "typ": "JWT"}
FORGED, SUSPECT, UNSIGNED = Verdict.FORGED, Verdict.SUSPECT, Verdict.UNSIGNED

HEADER, CLAIMS, SIGNATURE = compose(HS256, claims_for()).split(".")
SPLIT: Final = f"{HEADER}.{CLAIMS}"


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in claims_for().items() if name not in names}


def deep(depth: int) -> bytes:
    return b'{"iss":' + b"[" * depth + b"]" * depth + b"}"


HEADERS: Final = {
    "alg none": ({"alg": "none"}, "algorithm-not-hs256"),
    "alg None": ({"alg": "None"}, "algorithm-not-hs256"),
    "alg RS256": ({"alg": "RS256"}, "algorithm-not-hs256"),
    "alg HS384": ({"alg": "HS384"}, "algorithm-not-hs256"),
    "alg HS512": ({"alg": "HS512"}, "algorithm-not-hs256"),
    "alg lower-case": ({"alg": "hs256"}, "algorithm-not-hs256"),
    "alg with a space": ({"alg": "HS256 "}, "algorithm-not-hs256"),
    "alg missing": ({"typ": "JWT"}, "algorithm-not-hs256"),
    "alg null": ({"alg": None}, "algorithm-not-hs256"),
    "alg a list": ({"alg": ["HS256"]}, "algorithm-not-hs256"),
    "alg an object": ({"alg": {"HS256": 1}}, "algorithm-not-hs256"),
    "b64 false": ({**HS256, "b64": False}, "malformed-token"),
    "b64 false and critical": ({**HS256, "b64": False, "crit": ["b64"]}, "malformed-token"),
    "crit unknown": ({**HS256, "crit": ["exp"], "exp": 1}, "malformed-token"),
    "crit empty": ({**HS256, "crit": []}, "malformed-token"),
    "crit not a list": ({**HS256, "crit": "b64"}, "malformed-token"),
    "crit of numbers": ({**HS256, "crit": [1]}, "malformed-token"),
    "kid not text": ({**HS256, "kid": 1}, "malformed-token"),
    "header a list": ([HS256], "malformed-token"),
    "header null": (None, "malformed-token"),
    "header text": ("HS256", "malformed-token"),
    "header empty": (b"", "malformed-token"),
    "header not JSON": (b"{alg:HS256}", "malformed-token"),
    "header not UTF-8": (b'{"alg":"\xff"}', "malformed-token"),
    "header of deep JSON": (b'{"alg":' + b"[" * 2500, "malformed-token"),
}

#: Signed with the right secret, so that only what the claims say can decide.
SIGNED_CLAIMS: Final = {
    "wrong iss": (claims_for(iss="Nexmo"), FORGED, "issuer-not-vonage"),
    "iss lower-case": (claims_for(iss="vonage"), FORGED, "issuer-not-vonage"),
    "iss with a space": (claims_for(iss="Vonage "), FORGED, "issuer-not-vonage"),
    "iss a list": (claims_for(iss=["Vonage"]), FORGED, "issuer-not-vonage"),
    "iss missing": (without("iss"), FORGED, "issuer-not-vonage"),
    "hash of another body": (claims_for(b"another"), FORGED, "payload-hash-mismatch"),
    "hash truncated": (claims_for(payload_hash="6707563c"), FORGED, "payload-hash-mismatch"),
    "hash empty": (claims_for(payload_hash=""), FORGED, "payload-hash-mismatch"),
    "hash false": (claims_for(payload_hash=False), FORGED, "payload-hash-mismatch"),
    "hash a list": (claims_for(payload_hash=[claims_for()["payload_hash"]]), FORGED, "payload-hash-mismatch"),
    "hash not ASCII": (claims_for(payload_hash="é" * 64), FORGED, "payload-hash-mismatch"),
    "hash missing": (without("payload_hash"), SUSPECT, "no-payload-hash"),
    "hash null": (claims_for(payload_hash=None), SUSPECT, "no-payload-hash"),
    "api_key missing": (without("api_key"), SUSPECT, "no-api-key"),
    "api_key a list": (claims_for(api_key=[API_KEY]), SUSPECT, "no-api-key"),
    "api_key a number": (claims_for(api_key=7), SUSPECT, "no-api-key"),
    "api_key empty": (claims_for(api_key=""), SUSPECT, "no-api-key"),
    "api_key endless": (claims_for(api_key=API_KEY * 100), SUSPECT, "no-api-key"),
    "api_key unknown": (claims_for(api_key="z9z9z9z9"), SUSPECT, "unknown-api-key"),
    "api_key in upper case": (claims_for(api_key=API_KEY.upper()), SUSPECT, "unknown-api-key"),
    "no claims": ({}, FORGED, "issuer-not-vonage"),
    "claims a list": ([claims_for()], FORGED, "malformed-token"),
    "claims null": (None, FORGED, "malformed-token"),
    "claims empty": (b"", FORGED, "malformed-token"),
    "claims not JSON": (b"{", FORGED, "malformed-token"),
    "claims not UTF-8": (b'{"iss":"\xff"}', FORGED, "malformed-token"),
    "claims with a lone surrogate": (rb'{"iss":"\ud800"}', FORGED, "malformed-token"),
    "claims of deep JSON": (deep(2500), FORGED, "malformed-token"),
    "claims of NaN": (b'{"iat":NaN,"iss":"Vonage"}', FORGED, "malformed-token"),
}

#: The value of the header, everything after ``Authorization: ``.
HEADER_VALUES: Final = {
    "signature truncated": (f"Bearer {SPLIT}.{SIGNATURE[:-1]}", FORGED, "malformed-token"),
    "signature cut to whole bytes": (f"Bearer {SPLIT}.{SIGNATURE[:40]}", FORGED, "malformed-token"),
    "signature empty": (f"Bearer {SPLIT}.", FORGED, "malformed-token"),
    "signature missing": (f"Bearer {SPLIT}", FORGED, "malformed-token"),
    "signature extended": (f"Bearer {SPLIT}.{SIGNATURE}AAAA", FORGED, "malformed-token"),
    "signature of another secret": (f"Bearer {signed(secret='guess')}", SUSPECT, "signature-mismatch"),
    "signature of an empty secret": (
        f"Bearer {compose(HS256, claims_for(), secret='')}", SUSPECT, "signature-mismatch",
    ),
    "signature of another secret, no hash": (
        f"Bearer {compose(HS256, without('payload_hash'), secret='guess')}", FORGED, "signature-mismatch",
    ),
    "signature by SHA-384": (f"Bearer {compose(HS256, claims_for(), digest='sha384')}", FORGED, "malformed-token"),
    "signature in standard base64": (f"Bearer {SPLIT}.{'+/' * 21}A", FORGED, "malformed-token"),
    "signature in hex": (f"Bearer {SPLIT}.{'ab' * 32}", FORGED, "malformed-token"),
    "signature of zero bytes": (f"Bearer {SPLIT}.{'A' * 43}", SUSPECT, "signature-mismatch"),
    "extra segment": (f"Bearer {SPLIT}.{SIGNATURE}.{SIGNATURE}", FORGED, "malformed-token"),
    "extra empty segment": (f"Bearer {SPLIT}.{SIGNATURE}.", FORGED, "malformed-token"),
    "empty first segment": (f"Bearer .{SPLIT}.{SIGNATURE}", FORGED, "malformed-token"),
    "one segment": (f"Bearer {HEADER}", FORGED, "malformed-token"),
    "only dots": ("Bearer ..", FORGED, "malformed-token"),
    "padding on the signature": (f"Bearer {SPLIT}.{SIGNATURE}=", FORGED, "malformed-token"),
    "padding on the claims": (f"Bearer {HEADER}.{CLAIMS}=.{SIGNATURE}", FORGED, "malformed-token"),
    "a space inside": (f"Bearer {HEADER}. {CLAIMS}.{SIGNATURE}", FORGED, "malformed-token"),
    "a line break inside": (f"Bearer {HEADER}.\n{CLAIMS}.{SIGNATURE}", FORGED, "malformed-token"),
    "a NUL at the end": (f"Bearer {SPLIT}.{SIGNATURE}\0", FORGED, "malformed-token"),
    "quotes around": (f'Bearer "{SPLIT}.{SIGNATURE}"', FORGED, "malformed-token"),
    "not ASCII": (f"Bearer {SPLIT}.{SIGNATURE[:-1]}é", FORGED, "malformed-token"),
    "not UTF-8": (f"Bearer {SPLIT}.{SIGNATURE[:-1]}\udcff", FORGED, "malformed-token"),
    "digits of another script": (f"Bearer {SPLIT}.{SIGNATURE[:-1]}\u0661", FORGED, "malformed-token"),
    "a list of two": (f"Bearer {SPLIT}.{SIGNATURE}, Bearer {SPLIT}.{SIGNATURE}", FORGED, "malformed-token"),
    "the scheme twice": (f"Bearer Bearer {SPLIT}.{SIGNATURE}", FORGED, "malformed-token"),
    "100 KB of text": ("Bearer " + "A" * 100_000, FORGED, "token-too-long"),
    "100 KB of dots": ("Bearer " + "." * 100_000, FORGED, "token-too-long"),
    "100 KB of claims": (f"Bearer {compose(HS256, claims_for(note='x' * 100_000))}", FORGED, "token-too-long"),
    "no token after the scheme": ("Bearer ", UNSIGNED, "no-token"),
    "no scheme": (f"{SPLIT}.{SIGNATURE}", UNSIGNED, "no-token"),
    "another scheme": (f"Basic {SPLIT}.{SIGNATURE}", UNSIGNED, "no-token"),
    "a tab after the scheme": (f"Bearer\t{SPLIT}.{SIGNATURE}", UNSIGNED, "no-token"),
    "a line break after the scheme": (f"Bearer\n{SPLIT}.{SIGNATURE}", UNSIGNED, "no-token"),
    "no space after the scheme": (f"Bearer{SPLIT}.{SIGNATURE}", UNSIGNED, "no-token"),
    "a scheme that only looks alike": (f"Bеarer {SPLIT}.{SIGNATURE}", UNSIGNED, "no-token"),  # noqa: RUF001
}  # fmt: skip


def test_the_untampered_token_of_these_tables_is_verified() -> None:
    assert judge(with_token(f"{SPLIT}.{SIGNATURE}")).verdict is Verdict.VERIFIED


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_is_not_plain_hs256_is_forged_however_it_is_signed(name: str) -> None:
    header, reason = HEADERS[name]
    for digest in ("sha256", "sha384"):
        found = judge(with_token(compose(header, claims_for(), digest=digest)))
        assert (found.verdict, found.reason) == (FORGED, reason)
    unsigned = judge(with_token(f"{segment(header)}.{CLAIMS}."))
    assert (unsigned.verdict, unsigned.reason) == (FORGED, reason)


@pytest.mark.parametrize("name", SIGNED_CLAIMS)
def test_claims_that_are_not_nexmos_do_not_pass_even_with_the_right_signature(name: str) -> None:
    claims, verdict, reason = SIGNED_CLAIMS[name]
    found = judge(with_token(compose(HS256, claims)))
    assert (found.verdict, found.reason) == (verdict, reason)


@pytest.mark.parametrize("name", HEADER_VALUES)
def test_a_bent_authorization_header_does_not_pass(name: str) -> None:
    value, verdict, reason = HEADER_VALUES[name]
    found = judge(with_token(value, scheme=""))
    assert (found.verdict, found.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("name", "value"),
    [("iat", 0), ("jti", "other"), ("api_key", "other"), ("application_id", "other"), ("note", "added")],
)
def test_a_claim_changed_or_added_after_signing_is_suspect(name: str, value: Any) -> None:
    found = judge(with_token(f"{HEADER}.{segment(claims_for(**{name: value}))}.{SIGNATURE}"))
    assert found.verdict is SUSPECT
    assert (found.application_id, found.iat, found.jti, found.secret, found.skew) == (None, None, None, None, None)


@pytest.mark.parametrize(
    "body",
    [BODY + b" ", BODY[:-1], json.dumps(inbound_message(text="swapped")).encode(), b"{}", b"\0"],
)
def test_a_token_on_another_body_is_forged(body: bytes) -> None:
    found = judge(with_token(signed(), body))
    assert (found.verdict, found.reason, found.account) == (FORGED, "payload-hash-mismatch", None)


def test_a_detached_payload_is_not_taken_from_the_body() -> None:
    header = segment({**HS256, "b64": False, "crit": ["b64"]})
    found = judge(with_token(f"{header}..{SIGNATURE}"))
    assert (found.verdict, found.reason) == (FORGED, "malformed-token")


def test_a_secret_is_used_as_text_and_never_decoded() -> None:
    decoded = base64.b64encode(SECRET.encode()).decode()
    assert judge(with_token(signed(secret=decoded))).verdict is SUSPECT


def test_a_suspect_names_the_claimed_account_as_its_own_only_if_it_is_one_of_ours() -> None:
    ours = judge(with_token(signed(secret="guess")))
    stranger = judge(with_token(signed(api_key="stranger")))
    assert (ours.account, ours.claimed_account) == (API_KEY, API_KEY)
    assert (stranger.account, stranger.claimed_account) == (None, "stranger")


def test_a_suspect_is_read_so_that_an_operator_can_see_what_it_is_about() -> None:
    found = judge(with_token(signed(secret="guess")))
    assert found.reading is not None
    assert found.family == "inbound-message"


def test_an_account_without_secrets_makes_its_tokens_suspect_and_says_why() -> None:
    secretless = verifier(account(secrets=()))
    found = judge(with_token(signed()), by=secretless)
    assert (found.verdict, found.reason, found.account) == (SUSPECT, "no-secret", API_KEY)


def test_with_no_accounts_at_all_every_token_is_suspect() -> None:
    found = judge(with_token(signed()), by=Verifier(Accounts()))
    assert (found.verdict, found.reason) == (SUSPECT, "unknown-api-key")
