"""An event as JSON-ready values, for handlers that pass it on."""

import json
from typing import Any

import orjson
import pytest

from tests.support.callbacks import callback, event_of, json_callback
from tests.support.factories import API_KEY, APPLICATION, inbound_message


def test_an_event_is_written_with_iso_times_and_plain_objects() -> None:
    payload = inbound_message(status="rejected", error={"title": "1490"}, usage={"price": "0.02"})
    request = json_callback(payload)
    event = event_of(request)
    assert event.as_dict() == {
        "id": event.id,
        "family": "message-status",
        "channel": "sms",
        "message_id": "6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913",
        "status": "rejected",
        "sender": "447700900417",
        "recipient": "12015550142",
        "text": "Moor at berth 7?",
        "content_type": "text",
        "occurred_at": "2026-03-04T09:15:27+00:00",
        "received_at": "2026-03-04T09:15:28+00:00",
        "account": API_KEY,
        "application_id": APPLICATION,
        "client_ref": None,
        "error": {"code": "1490", "reason": None, "type": None, "instance": None},
        "price": {"amount": "0.02", "currency": "EUR"},
        "payload": payload,
        "raw": request.body.decode(),
    }


def test_its_json_text_says_the_same() -> None:
    event = event_of(json_callback(inbound_message(text="größer 😀")))
    assert json.loads(event.as_json()) == event.as_dict()


@pytest.mark.parametrize(
    ("text", "written"),
    [("\ud83d", "�"), ("a\udce9b\ud83d!", "a�b�!"), ("😀é", "😀é"), ("\x00", "\x00")],
)
def test_what_utf_8_cannot_hold_is_replaced_everywhere(text: str, written: str) -> None:
    event = event_of(json_callback(inbound_message(text=text, nested=[{text: text}])))
    plain = orjson.loads(orjson.dumps(event.as_dict()))
    assert (plain["text"], plain["payload"]["nested"]) == (written, [{written: written}])


def test_bytes_that_are_not_utf_8_are_replaced_in_the_text_and_kept_in_raw() -> None:
    body = b'{"message_uuid": "m", "text": "caf\xe9"}'
    event = event_of(callback(body, content_type="application/json"))
    assert event.raw == body
    assert (event.as_dict()["text"], event.as_dict()["raw"]) == ("caf�", body.decode("utf-8", "replace"))


def test_the_written_payload_is_a_copy() -> None:
    nested: dict[str, Any] = {"list": [1]}
    event = event_of(json_callback(inbound_message(nested=nested)))
    event.as_dict()["payload"]["nested"]["list"].append(2)
    assert event.payload["nested"] == nested
