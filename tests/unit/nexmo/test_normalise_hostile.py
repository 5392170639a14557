"""Any request becomes an event that every writer takes, without an exception."""

import json
from typing import Any
from urllib.parse import urlencode

import orjson
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.classify import classify, message_id
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.normalise import normalise
from ackfirst.shared.nexmo.reading import Encoding, Reading, parameters, read
from tests.support.callbacks import FORM, any_text, event_of, hostile_fields, json_callback

header = st.sampled_from(["", "application/json", f"{FORM}; charset=UTF-8", "text/plain", ";", "json"]) | any_text
anything = st.builds(
    Callback,
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT"]),
    path=any_text,
    query=any_text | st.dictionaries(st.sampled_from(["messageId", "msisdn", "text"]), st.binary()).map(urlencode),
    content_type=header,
    authorization=any_text,
    body=st.binary() | hostile_fields.map(lambda fields: json.dumps(fields).encode()),
    received_at=st.floats(min_value=0, max_value=4e9),
)


def assert_writable(event: Event) -> None:
    """JSON text that says what ``as_dict`` says, valid as UTF-8."""
    for name in Event.__slots__:
        str(getattr(event, name)).encode()
    plain = event.as_dict()
    assert list(plain) == list(Event.__slots__)
    text = json.dumps(plain, ensure_ascii=False)
    assert json.loads(text.encode()) == plain
    assert json.loads(event.as_json()) == plain


@given(anything)
def test_any_request_is_read_or_set_aside(request: Callback) -> None:
    reading = read(request)
    if reading is not None:
        parameters(reading.fields)
        assert_writable(event_of(request))


@given(hostile_fields)
def test_any_json_object_becomes_a_writable_event(payload: dict[str, Any]) -> None:
    assert_writable(event_of(json_callback(payload)))


@given(st.sampled_from(Family), st.sampled_from(["json", "form", "query"]), hostile_fields)
def test_any_fields_under_any_family_become_an_event(family: Family, encoding: Encoding, fields: Any) -> None:
    reading = Reading(encoding, fields)
    assert classify(reading) in Family
    event = normalise(
        id="o-0", family=family, reading=reading, account=None, application_id=None, received_at=0.0, raw=b""
    )
    json.dumps(event.payload, ensure_ascii=False).encode()
    assert event.as_dict()["family"] == family.value


@given(st.sampled_from(Family), hostile_fields)
def test_any_message_id_survives_utf_8(family: Family, fields: dict[str, Any]) -> None:
    orjson.dumps(message_id(family, fields))


@given(st.binary())
def test_any_bytes_in_a_form_become_a_writable_event(body: bytes) -> None:
    assert_writable(event_of(Callback("POST", "/", "", FORM, "", b"text=" + body, 0.0)))
