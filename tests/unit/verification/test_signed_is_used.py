"""The event is made of the characters that the signature covers: a ``sig`` fits one event, however it is written."""

import json
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ackfirst.shared.accounts import Accounts
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.policy import Verdict
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.envelope_builder import build_envelope
from ackfirst.shared.queue.parse import parse
from tests.support import nexmo
from tests.support.callbacks import FORM, callback, form_callback, get_callback, json_callback
from tests.support.signing import account, judge, signed, with_token

INBOUND: Final = {"msisdn": "447700900417", "to": "12015550142", "messageId": "1E00000000000002", "text": "Tea"}
RECEIPT: Final = {"msisdn": "447700900417", "messageId": "0C0000009D3E71A5", "status": "delivered", "err-code": "50"}

#: A JSON value, and the text that a form holds for it.
LITERALS: Final = {
    "1E00000000000002": "1E00000000000002", "50": "50", "5e1": "5e1", "50.0": "50.0", "-0": "-0", "true": "true",
    "null": "", "[1]": "[1]", '{"a":1}': '{"a":1}', '"50"': "50", r'"\ud83d"': "\N{REPLACEMENT CHARACTER}",
    "12345678901234567890123": "12345678901234567890123", "NaN": "NaN", "1e999": "1e999",
}  # fmt: skip


def queued(request: Callback) -> tuple[Envelope, Event] | None:
    found = judge(request)
    if found.verdict is not Verdict.VERIFIED:
        return None
    envelope = build_envelope(request, found, accounts=Accounts([account()]), trace=None)
    assert Envelope.decode(envelope.encode()) == envelope
    return envelope, parse(envelope)


def said(request: Callback) -> dict[str, Any]:
    """What the event says, without how it was written."""
    both = queued(request)
    assert both is not None
    envelope, event = both
    return {"job": envelope.id, "lane": envelope.lane, **event.as_dict(), "raw": None}


def as_json(parameters: dict[str, str], name: str, literal: str) -> Callback:
    """The same parameters as JSON, with ``literal`` as it stands for the value of ``name``."""
    body = json.dumps({**parameters, name: "HERE"}).replace('"HERE"', literal)
    return callback(body.encode(), content_type="application/json")


def test_a_genuine_form_sent_again_as_json_with_its_id_as_a_number_is_the_same_event() -> None:
    sent = nexmo.signed(INBOUND)
    again = as_json(sent, "messageId", "1E00000000000002")
    assert said(again) == said(form_callback(sent))
    assert said(again)["message_id"] == "1E00000000000002"


@pytest.mark.parametrize("literal", LITERALS)
@pytest.mark.parametrize("name", ["messageId", "err-code", "status", "text", "client-ref", "price", "new"])
def test_the_same_sig_over_another_type_of_json_value_is_the_same_event(name: str, literal: str) -> None:
    sent = nexmo.signed({**RECEIPT, name: LITERALS[literal]})
    genuine, again = form_callback(sent), as_json(sent, name, literal)
    assert said(again) == said(genuine)


values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.integers())
fields = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("messageId", "msisdn", "status", "err-code", "text", "message_uuid", "x"), values)
)


@given(fields)
@example({"message_uuid": "m", "text": "t"})
def test_any_json_that_a_sig_covers_is_the_same_event_as_the_form_that_it_covers(fields: dict[str, Any]) -> None:
    texts = {name: text if isinstance(text, str) else _literal(text) for name, text in fields.items()}
    sent = nexmo.signed({"msisdn": "447700900417", **texts})
    assume(all(name == name.encode("utf-8", "ignore").decode() for name in sent.values()))
    again = json_callback({**sent, **fields})
    assert judge(again).verdict is Verdict.VERIFIED
    assert said(again) == said(form_callback(sent)) == said(get_callback(sent))


def _literal(value: Any) -> str:
    return "" if value is None else json.dumps(value, separators=(",", ":"))


@pytest.mark.parametrize("shuffled", [True, False])
def test_a_callback_of_no_known_family_is_identified_by_what_is_signed(shuffled: bool) -> None:
    sent = nexmo.signed({"event": "opt-out", "number": "447700900417", "x": "1"})
    again = dict(reversed(sent.items())) if shuffled else sent
    spelled = callback(urlencode(again).replace("opt", "%6fpt").encode(), content_type=FORM)
    assert said(spelled)["job"] == said(form_callback(sent))["job"] == said(json_callback(again))["job"]
    assert said(spelled)["family"] == "other"


def test_a_sig_never_makes_a_message_of_the_messages_api() -> None:
    sent = nexmo.signed({"message_uuid": "m", "status": "read"})
    assert {said(request(sent))["family"] for request in (form_callback, get_callback, json_callback)} == {"other"}


@pytest.mark.parametrize("field", ["price", "status", "client_ref", "message_uuid"])
def test_numbers_of_a_message_keep_their_literal_too(field: str) -> None:
    body = b'{"message_uuid": 1E00000000000002, "status": 5E1, "client_ref": 1.50, "usage": {"price": 0.0710}}'
    both = queued(with_token(signed(body), body))
    assert both is not None
    event = both[1]
    found = {
        "price": event.price and event.price.amount,
        "status": event.status,
        "client_ref": event.client_ref,
        "message_uuid": event.message_id,
    }
    wanted = {"price": "0.0710", "status": "5e1", "client_ref": "1.50", "message_uuid": "1E00000000000002"}
    assert found[field] == wanted[field]
    assert both[0].message_id == "1E00000000000002"


def test_numbers_in_the_payload_of_a_message_stay_plain_numbers() -> None:
    body = b'{"message_uuid": "m", "location": {"lat": 51.50, "long": -0.10}}'
    both = queued(with_token(signed(body), body))
    assert both is not None
    location = both[1].payload["location"]
    assert location == {"lat": 51.5, "long": -0.1}
    assert {type(value) for value in location.values()} == {float}


def test_another_application_of_the_same_sig_does_not_exist() -> None:
    sent = nexmo.signed(INBOUND)
    assert queued(as_json(sent, "messageId", "100.0")) is None
    assert said(form_callback(sent))["family"] == Family.INBOUND_SMS
