"""Every callback has a verdict, never an exception, and the verdict keeps the promises of its fields."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.policy import Verdict
from ackfirst.shared.verification import Verification
from tests.support.callbacks import FORM, any_json, any_text, hostile_fields
from tests.support.factories import API_KEY, NOW, SECRET
from tests.support.nexmo import compose
from tests.support.signing import account, claims_for, judge, verifier

HS256 = {"alg": "HS256", "typ": "JWT"}
OURS = {API_KEY, "b"}
OPEN = verifier(
    account(allow_unsigned=frozenset(Family), url_token="t"),
    account(api_key="b", secrets=(b"b",), sms_signature_method="sha256", allow_unsigned=frozenset({Family.OTHER})),
    max_age=60.0,
)
CLOSED = verifier()

bodies = st.binary(max_size=60) | hostile_fields.map(lambda fields: json.dumps(fields).encode())
queries = any_text | st.sampled_from(["token=t", "msisdn=1&messageId=2&text=3&sig=" + "0" * 32, "%ff=%ff&sig=\udcff"])
claims = st.dictionaries(
    st.sampled_from(sorted(claims_for())), st.sampled_from([None, 0, 2**70, [], "b", "Vonage"]) | any_json, max_size=2
)
tokens = (
    any_text
    | st.text(alphabet="eyJ.AZaz09-_=", max_size=80)
    | st.builds(compose, st.dictionaries(any_text, any_text, max_size=3), st.just(claims_for()))
)
any_callback = st.builds(
    Callback,
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", ""]),
    path=any_text,
    query=queries,
    content_type=any_text | st.sampled_from(["", "application/json", FORM, "Application/JSON; charset=\udcff"]),
    authorization=any_text | tokens.map(lambda token: f"Bearer {token}"),
    body=bodies,
    received_at=st.just(NOW),
)


def tokened(secrets: st.SearchStrategy[str]) -> st.SearchStrategy[Callback]:
    """Callbacks whose token fits their body, but for a claim or two."""

    def bring(request: Callback, odd: dict[str, Any], secret: str) -> Callback:
        token = compose(HS256, {**claims_for(request.body), **odd}, secret=secret)
        return replace(request, authorization=f"Bearer {token}")

    return st.builds(bring, any_callback, claims, secrets)


callbacks = any_callback | tokened(st.sampled_from([SECRET, "b", "guess"]))
times = st.floats(allow_nan=False, allow_infinity=False)


@given(request=callbacks, now=times)
def test_every_callback_has_a_verdict(request: Callback, now: float) -> None:
    for found in (judge(request, by=OPEN, now=now), judge(request, by=CLOSED, now=now)):
        assert found.verdict in {
            *(Verdict.VERIFIED, Verdict.PROBE, Verdict.UNREADABLE),
            *(Verdict.SUSPECT, Verdict.UNSIGNED, Verdict.FORGED),
        }
        check_promises(found)


@given(request=any_callback | tokened(st.text(max_size=40).filter(lambda secret: secret != SECRET)))
def test_no_callback_passes_without_a_secret_where_nothing_is_allowed_unsigned(request: Callback) -> None:
    assert judge(request, by=CLOSED).verdict not in {Verdict.VERIFIED, Verdict.UNREADABLE}


@given(request=callbacks)
def test_the_same_callback_has_the_same_verdict_again(request: Callback) -> None:
    assert judge(request, by=OPEN) == judge(replace(request), by=OPEN)


def check_promises(found: Verification) -> None:
    assert found.account is None or found.account in OURS
    assert (found.family is None) is (found.reading is None)
    assert found.reason.replace("-", "").isalnum()
    assert found.reason == found.reason.lower()
    if found.verdict is Verdict.VERIFIED:
        assert found.reading is not None
    if found.verdict in {Verdict.FORGED, Verdict.UNSIGNED}:
        assert found.account is None
    if found.secret is None:
        assert (found.application_id, found.iat, found.jti, found.skew) == (None, None, None, None)
