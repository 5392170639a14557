"""Messages v1 statuses: every channel and status, errors in every spelling."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ackfirst.shared.nexmo.event import Event, EventError, Price
from tests.support.callbacks import event_of, json_callback

CHANNELS = ("sms", "mms", "rcs", "whatsapp", "messenger", "viber_service", "email")
STATUSES = ("submitted", "delivered", "read", "rejected", "undeliverable")
STATUS = {
    "message_uuid": "2a90d4b7-6be1-49c3-8f55-d07e3b1c6642",
    "to": "447700900433",
    "from": "HARBOUR",
    "timestamp": "2026-03-04T09:20:11Z",
    "status": "delivered",
    "channel": "sms",
}
TYPE = "https://developer.vonage.com/api-errors/messages#1490"
OLDER_TYPE = "https://developer.nexmo.com/api-errors/messages-olympus#1300"


def event(**fields: Any) -> Event:
    return event_of(json_callback({**STATUS, **fields}))


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("status", STATUSES)
def test_every_status_of_every_channel_is_read(channel: str, status: str) -> None:
    read = event(channel=channel, status=status)
    assert (read.family, read.channel, read.status) == ("message-status", channel, status)
    assert (read.sender, read.recipient) == ("HARBOUR", "447700900433")
    assert (read.text, read.content_type, read.error, read.price) == (None, None, None, None)
    assert read.message_id == STATUS["message_uuid"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [("accepted", "accepted"), ("seen", "seen"), ("DELIVERED", "delivered"), ("of-tomorrow", "of-tomorrow"), (7, "7")],
)
def test_a_status_that_no_schema_knows_is_carried_in_lower_case(status: Any, expected: str) -> None:
    assert event(status=status).status == expected


def test_a_whole_rejection_becomes_an_event() -> None:
    read = event(
        status="rejected",
        client_ref="berth-7/inv-118",
        destination={"network_code": "23415"},
        usage={"currency": "EUR", "price": "0.0333"},
        error={"type": TYPE, "title": "1490", "detail": "part timeout", "instance": "9d1e0b77a2f64c0e"},
    )
    assert read.error == EventError("1490", "part timeout", TYPE, "9d1e0b77a2f64c0e")
    assert read.client_ref == "berth-7/inv-118"
    assert read.price == Price("0.0333", "EUR")
    assert read.occurred_at == datetime(2026, 3, 4, 9, 20, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"title": "1300", "detail": "d"}, EventError("1300", "d")),
        ({"title": 1300, "detail": "d"}, EventError("1300", "d")),
        ({"title": "Throttled"}, EventError("Throttled")),
        ({"type": OLDER_TYPE, "detail": "d"}, EventError("1300", "d", OLDER_TYPE)),
        ({"error": {"type": TYPE, "title": "1490", "instance": "i"}}, EventError("1490", None, TYPE, "i")),
        ({"error": {"error": {"title": 1000}}}, EventError("1000")),
        ({"code": 1300, "reason": "r"}, EventError("1300", "r")),
        ({"detail": "d"}, EventError("", "d")),
        ("1300", EventError("1300")),
        (1300, EventError("1300")),
        ({}, None),
        ({"error": {}}, None),
        ({"title": None, "detail": ""}, None),
        ({"title": {}, "detail": []}, None),
        (None, None),
        ([], None),
        (True, None),
    ],
)
def test_an_error_is_read_in_every_spelling(error: Any, expected: EventError | None) -> None:
    assert event(status="rejected", error=error).error == expected


@pytest.mark.parametrize("status", ["rejected", "undeliverable"])
def test_a_failure_may_come_with_or_without_an_error(status: str) -> None:
    assert event(status=status).error is None
    assert event(status=status, error={"title": "1260"}).error == EventError("1260")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"currency": "EUR", "price": "0.0333"}, Price("0.0333", "EUR")),
        ({"currency": "USD", "price": "0"}, Price("0", "USD")),
        ({"price": "0.03330000"}, Price("0.03330000", "EUR")),
        ({"currency": "EUR", "price": 0.00005}, Price("5e-05", "EUR")),
        ({"currency": "EUR", "price": 1}, Price("1", "EUR")),
        ({"currency": "EUR"}, None),
        ({"currency": "EUR", "price": ""}, None),
        ({"currency": {}, "price": []}, None),
        ("0.0333", None),
        (None, None),
    ],
)
def test_a_price_is_decimal_text(usage: Any, expected: Price | None) -> None:
    assert event(usage=usage).price == expected


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2026-03-04T09:20:11Z", datetime(2026, 3, 4, 9, 20, 11, tzinfo=UTC)),
        ("2026-03-04T09:20:11.418Z", datetime(2026, 3, 4, 9, 20, 11, 418000, tzinfo=UTC)),
        ("2026-03-04T10:20:11+01:00", datetime(2026, 3, 4, 9, 20, 11, tzinfo=UTC)),
        ({}, None),
        (None, None),
        ("yesterday", None),
    ],
)
def test_a_timestamp_is_read_in_utc_or_not_at_all(timestamp: Any, expected: datetime | None) -> None:
    assert event(timestamp=timestamp).occurred_at == expected


@pytest.mark.parametrize(
    "extra",
    [
        {"sms": {"count_total": "2", "segments": [{"timestamp": "2026-03-04T09:15:40Z", "status": "delivered"}]}},
        {"sms": {"total_count": "2"}},
        {"workflow": {"workflow_id": "w", "items_number": "1", "items_total": "2"}},
        {"workflow": {"id": "w", "item_number": "1", "total_items": "2"}},
        {"workflow": {"id": "w", "item_number": "1", "items_total": "2"}},
        {"whatsapp": {"pricing": {"type": "regular", "pricing_model": "PMP", "category": "utility"}}},
        {"whatsapp": {"conversation": {"id": "c", "origin": {"type": "user_initiated"}}, "waba_id": "1"}},
        {"profile": {"name": "Ilse Brandt"}},
        {"of_tomorrow": None},
    ],
)
@pytest.mark.parametrize("status", STATUSES)
def test_extras_are_carried_with_any_status_and_disturb_nothing(extra: dict[str, Any], status: str) -> None:
    plain, read = event(status=status), event(status=status, **extra)
    assert read.payload == {**plain.payload, **extra}
    assert (read.id, read.status, read.text, read.content_type) == (plain.id, status, None, None)
