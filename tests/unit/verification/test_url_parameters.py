"""Parameters of the webhook's own URL: they neither spoil a signature nor reach a handler."""

from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ackfirst.shared.accounts import Accounts
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.sms import PARAMETERS
from ackfirst.shared.policy import Verdict
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.envelope_builder import build_envelope
from ackfirst.shared.queue.parse import parse
from tests.support import nexmo
from tests.support.callbacks import callback, form_callback
from tests.support.signing import account, judge, signed, verifier, with_token

SMS: Final = {"msisdn": "447700900417", "to": "12015550142", "messageId": "0C0000009D3E71A4", "text": "Tea & cake"}
OPEN: Final = account(secrets=(), allow_unsigned=frozenset(Family))

texts = st.text(st.characters(codec="utf-8"), max_size=12)
own_names = texts.filter(lambda name: name not in PARAMETERS and not {"&", "="} & set(name))


def get(query: str) -> Callback:
    return callback(method="GET", query=query)


def envelope_of(request: Callback, **options: Any) -> Envelope | None:
    found = judge(request, **options)
    if found.verdict is not Verdict.VERIFIED:
        return None
    return build_envelope(request, found, accounts=Accounts([account()]), trace=None)


@pytest.mark.parametrize(
    "query", ["key={}", "key={}&key={}", "a=1&b={}", "token={}", "tok%65n={}", "{}", "caf%C3%A9={}"]
)
def test_a_signature_that_leaves_out_the_urls_parameters_is_confirmed_and_they_go_no_further(query: str) -> None:
    own = query.format(*["lantern"] * 2)
    envelope = envelope_of(get(f"{own}&{urlencode(nexmo.signed(SMS))}"))
    assert envelope is not None
    assert "lantern" not in envelope.encode()
    event = parse(envelope)
    assert event.payload.keys() == {*SMS, "timestamp", "nonce", "sig"}
    assert b"lantern" not in event.raw


def test_a_signature_that_covers_the_urls_parameters_is_confirmed_and_they_count_as_signed() -> None:
    envelope = envelope_of(get(urlencode(nexmo.signed({"key": "x", **SMS}))))
    assert envelope is not None
    assert parse(envelope).payload["key"] == "x"


def test_the_urls_secret_goes_no_further_even_where_it_is_signed() -> None:
    envelope = envelope_of(get(urlencode(nexmo.signed({"token": "lantern", **SMS}))))
    assert envelope is not None
    assert "lantern" not in envelope.encode()


def test_a_new_parameter_of_nexmos_is_recognised_by_its_place_behind_the_urls() -> None:
    sent = nexmo.signed({**SMS, "new-of-nexmos": "1"})
    envelope = envelope_of(get(f"key=x&{urlencode(sent)}"))
    assert envelope is not None
    assert parse(envelope).payload == sent


def test_what_is_added_to_a_signed_query_reaches_no_event() -> None:
    sent = urlencode(nexmo.signed(SMS))
    genuine, varied = envelope_of(get(sent)), envelope_of(get(f"a=1&{sent}&client_ref=injected&b=2"))
    assert genuine == varied


@pytest.mark.parametrize("name", ["status", "err-code", "client-ref", "price", "scts", "timestamp"])
def test_a_known_parameter_that_is_not_signed_spoils_the_signature(name: str) -> None:
    sent = {key: value for key, value in nexmo.signed(SMS).items() if key != name}
    assert envelope_of(get(f"{name}=1&{urlencode(sent)}")) is None


@given(before=st.dictionaries(own_names, texts, max_size=3), after=st.dictionaries(own_names, texts, max_size=3))
def test_only_what_is_signed_reaches_the_event(before: dict[str, str], after: dict[str, str]) -> None:
    assume(not before.keys() & after.keys())
    sent = nexmo.signed(SMS)
    query = "&".join(filter(None, [urlencode(before), urlencode(sent), urlencode(after)]))
    envelope = envelope_of(get(query))
    assert envelope is not None
    assert parse(envelope).payload == sent
    assert envelope.query == urlencode(sent)


def test_the_parameters_that_pass_stay_byte_for_byte() -> None:
    sent = nexmo.signed({**SMS, "text": "a b"})
    spelled = "&".join(f"{quote_plus(name)}={quote_plus(value).replace('+', '%20')}" for name, value in sent.items())
    envelope = envelope_of(get(f"key=x&{spelled}&"))
    assert envelope is not None
    assert envelope.query == spelled


def test_an_event_that_is_allowed_unsigned_has_nothing_of_the_url_and_what_nexmo_may_have_added() -> None:
    asks = verifier(account(secrets=(), allow_unsigned=frozenset(Family), url_token="lantern"))
    query = f"key=x&{urlencode(SMS)}&new=1&token=lantern"
    envelope = envelope_of(get(query), by=asks)
    assert envelope is not None
    assert parse(envelope).payload == {**SMS, "new": "1"}
    assert envelope.query == f"{urlencode(SMS)}&new=1"


@pytest.mark.parametrize("request_of", [lambda: form_callback(nexmo.signed(SMS)), lambda: with_token(signed())])
def test_a_query_beside_a_body_goes_no_further(request_of: Any) -> None:
    request = replace(request_of(), query="key=lantern")
    envelope = envelope_of(request)
    assert envelope is not None
    assert (envelope.query, envelope.body) == ("", request.body)


@given(path=texts)
def test_the_path_has_no_say(path: str) -> None:
    for request in (get(urlencode(nexmo.signed(SMS))), form_callback(nexmo.signed(SMS)), with_token(signed())):
        assert envelope_of(replace(request, path=path)) == envelope_of(request) is not None
