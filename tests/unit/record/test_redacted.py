"""What is left of an event says nothing of a person, and is enough for what must be kept."""

import json
from typing import Any
from urllib.parse import parse_qs, urlencode

from hypothesis import given
from hypothesis import strategies as st

from ackfirst.ops.record.redacted import PREFIX, Person, keyed_hash, redacted_envelope
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.store.arrival import arrival_of
from tests.support.factories import inbound_message, make_envelope

KEY = b"k" * 32
NUMBER = "447700900417"
STATUS = {
    "message_uuid": "6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913",
    "to": NUMBER,
    "from": "12015550142",
    "timestamp": "2026-03-04T09:15:27Z",
    "status": "rejected",
    "client_ref": "anna-order-17",
    "error": {
        "type": "https://developer.vonage.com/api-errors/messages#1330",
        "title": 1330,
        "detail": "no 447700900417",
    },
    "usage": {"price": "0.0333", "currency": "EUR"},
    "channel": "sms",
    "whatsapp": {"profile": {"name": "Anna"}},
}


def status(**fields: Any) -> Envelope:
    return make_envelope(family="message-status", id="s-" + "0" * 32, payload={**STATUS, **fields})


def test_status_times_price_and_codes_stay_and_numbers_become_hashes() -> None:
    before, after = arrival_of(status()), arrival_of(redacted_envelope(status(), KEY))
    for name in ("status", "occurred_at", "price", "message_id", "channel", "received_at", "family", "event_id"):
        assert getattr(after, name) == getattr(before, name)
    assert after.recipient == keyed_hash(NUMBER, KEY)
    assert after.sender == keyed_hash("12015550142", KEY)
    assert after.client_ref == keyed_hash("anna-order-17", KEY)


def test_nothing_of_the_person_is_left() -> None:
    text = redacted_envelope(status(), KEY).encode()
    for word in (NUMBER, "12015550142", "Anna", "anna", "7700900417"):
        assert word not in text
    assert "Moor" not in redacted_envelope(make_envelope(), KEY).encode()


def test_version_0_messages_and_forms_keep_their_shape() -> None:
    old = inbound_message(**{"from": {"type": "sms", "number": NUMBER}, "to": {"type": "sms", "number": "1201555014"}})
    after = arrival_of(redacted_envelope(make_envelope(payload=old), KEY))
    assert after.sender == keyed_hash(NUMBER, KEY)
    sms = {"msisdn": NUMBER, "to": "12015550142", "messageId": "0C0000009D3E71A4", "text": "Hi", "type": "text"}
    form = make_envelope(
        family=Family.INBOUND_SMS.value,
        encoding="form",
        content_type="application/x-www-form-urlencoded",
        body=urlencode(sms).encode(),
    )
    left = parse_qs(redacted_envelope(form, KEY).body.decode())
    assert set(left) == {"msisdn", "to", "messageId", "type"}
    assert left["msisdn"] == [keyed_hash(NUMBER, KEY)]
    query = make_envelope(family="inbound-sms", encoding="query", content_type="", body=b"", query=urlencode(sms))
    assert NUMBER not in redacted_envelope(query, KEY).query
    assert arrival_of(redacted_envelope(query, KEY)).sender == keyed_hash(NUMBER, KEY)


def test_a_body_that_cannot_be_read_is_left_out_as_a_whole() -> None:
    assert redacted_envelope(make_envelope(body=b'{"from": "4477009004'), KEY).body == b"{}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*STATUS, "text", "x"]), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from([*STATUS, "text", "msisdn", "content", "message"]), JSON, max_size=8))
def test_redacting_twice_changes_nothing_more(payload: dict[str, Any]) -> None:
    once = redacted_envelope(make_envelope(body=json.dumps(payload).encode()), KEY)
    assert redacted_envelope(once, KEY) == once


@given(st.text(alphabet="0123456789", min_size=7, max_size=15), st.binary(min_size=1, max_size=64))
def test_equal_numbers_have_equal_hashes_under_one_key_only(number: str, key: bytes) -> None:
    assert keyed_hash(number, key) == keyed_hash(number, key)
    assert keyed_hash(number, key) != keyed_hash(number, key + b"x")
    assert keyed_hash(number, key).startswith(PREFIX)
    assert keyed_hash(keyed_hash(number, key), key) == keyed_hash(number, key)


@given(st.sampled_from(["json", "form", "latin"]))
def test_whoever_is_meant_is_found_by_the_bytes_that_are_looked_for(form: str) -> None:
    sender = "Moor & Co é"
    match form:
        case "json":
            body, more = json.dumps({**inbound_message(), "from": sender}).encode(), {}
        case "latin":
            body, more = json.dumps({**inbound_message(), "from": sender}, ensure_ascii=False).encode("latin-1"), {}
        case _:
            body = urlencode({"msisdn": sender, "to": "1", "messageId": "2", "text": "3"}).encode()
            more = {"encoding": "form", "family": "inbound-sms"}
    envelope = make_envelope(body=body, **more)
    person = Person(number=sender)
    text = envelope.encode().encode()
    assert not person.is_meant_by(arrival_of(envelope)) or any(needle in text for needle in person.needles())
    if form != "latin":
        assert person.is_meant_by(arrival_of(envelope))
