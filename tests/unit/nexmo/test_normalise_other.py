"""What is none of the four families still becomes an event, with as much meaning as it shows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ackfirst.shared.nexmo.event import Price
from tests.support.callbacks import event_of, form_callback, json_callback

DISPATCH = {
    "dispatch_uuid": "6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913",
    "template": "failover",
    "status": "completed",
    "timestamp": "2026-03-04T09:15:27Z",
    "usage": {"price": "0.02", "currency": "EUR"},
    "_links": {"messages": [{"message_uuid": "m", "channel": "viber_service_msg", "status": "rejected"}]},
}
VERIFY = {
    "request_id": "c11236f4-00bf-4b89-84ba-88b25df97315",
    "type": "summary",
    "channel": "silent_auth",
    "status": "completed",
    "client_ref": "login-7",
    "price": "0.10000000",
}


def test_a_dispatch_report_is_carried_with_what_it_says() -> None:
    read = event_of(json_callback(DISPATCH))
    assert (read.family, read.message_id, read.channel, read.status) == ("other", None, None, "completed")
    assert read.price == Price("0.02", "EUR")
    assert read.occurred_at == datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC)
    assert read.payload == DISPATCH


def test_a_verify_event_is_carried_with_what_it_says() -> None:
    read = event_of(json_callback(VERIFY))
    assert (read.family, read.channel, read.status, read.client_ref) == ("other", "silent_auth", "completed", "login-7")
    assert read.payload == VERIFY


@pytest.mark.parametrize("payload", [{}, {"a": None}, {"message_uuid": "m"}, {"to": {}, "from": []}])
def test_an_object_without_meaning_is_an_event_all_the_same(payload: dict[str, Any]) -> None:
    read = event_of(json_callback(payload))
    assert (read.family, read.status, read.text, read.error) == ("other", None, None, None)
    assert read.payload == payload


def test_an_unknown_form_is_an_event_all_the_same() -> None:
    assert event_of(form_callback({"ping": "1"})).payload == {"ping": "1"}
