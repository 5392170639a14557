"""SMS API, delivery receipts: the same event from a query, a form and JSON."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.event import Event, EventError, Price
from ackfirst.shared.nexmo.failure import RECEIPT_MEANINGS
from tests.support.callbacks import event_of, form_callback, get_callback, json_callback

RECEIPT = {
    "msisdn": "447700900433",
    "to": "HARBOUR",
    "network-code": "23415",
    "messageId": "0C0000009D3E71A4",
    "price": "0.03330000",
    "status": "delivered",
    "scts": "2603040914",
    "err-code": "0",
    "api-key": "k7m2p9qa",
    "client-ref": "berth-7/inv-118",
    "message-timestamp": "2026-03-04 09:15:27",
}
TRANSPORTS = [get_callback, form_callback, json_callback]
STATUSES = ("accepted", "buffered", "delivered", "expired", "failed", "rejected", "unknown")
Transport = Callable[[dict[str, Any]], Callback]


def event(transport: Transport = json_callback, **fields: Any) -> Event:
    """The event of a delivery receipt; a field given as ``...`` is left out."""
    payload = {**RECEIPT, **fields}
    return event_of(transport({name: value for name, value in payload.items() if value is not ...}))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("status", STATUSES)
def test_every_status_is_read_from_every_transport(transport: Transport, status: str) -> None:
    read = event(transport, status=status)
    assert (read.family, read.channel, read.status) == ("delivery-receipt", "sms", status)
    assert (read.message_id, read.sender, read.recipient) == ("0C0000009D3E71A4", "HARBOUR", "447700900433")
    assert (read.price, read.client_ref) == (Price("0.03330000", "EUR"), "berth-7/inv-118")
    assert (read.text, read.content_type, read.error) == (None, None, None)
    assert read.occurred_at == datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC)
    assert read.payload == {**RECEIPT, "status": status}


@pytest.mark.parametrize(("status", "expected"), [("DELIVERED", "delivered"), ("DELIVRD", "delivrd"), ("new", "new")])
def test_other_statuses_are_carried_in_lower_case(status: str, expected: str) -> None:
    assert event(status=status).status == expected


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("code", "meaning"), RECEIPT_MEANINGS.items())
def test_every_documented_err_code_has_its_meaning(transport: Transport, code: str, meaning: str) -> None:
    assert event(transport, status="failed", **{"err-code": code}).error == EventError(code, meaning)


def test_the_table_of_meanings_is_complete() -> None:
    documented = {*range(1, 16), *range(50, 55), 95, 99}
    assert {int(code) for code in RECEIPT_MEANINGS} == documented


@pytest.mark.parametrize(("code", "expected"), [("39", "39"), (39, "39"), ("x-1", "x-1")])
def test_an_unknown_err_code_is_carried_without_a_meaning(code: Any, expected: str) -> None:
    assert event(status="failed", **{"err-code": code}).error == EventError(expected)


def test_a_numeric_err_code_has_its_meaning_too() -> None:
    assert event(status="failed", **{"err-code": 7}).error == EventError("7", "handset busy")


@pytest.mark.parametrize("code", ["0", 0, "00", "", "null", None, ...])
def test_no_err_code_is_no_error(code: Any) -> None:
    assert event(status="failed", **{"err-code": code}).error is None


def test_an_err_code_that_is_no_scalar_is_the_text_that_was_signed() -> None:
    assert event(status="failed", **{"err-code": ["6"]}).error == EventError('["6"]')


@pytest.mark.parametrize("status", ["accepted", "ACCEPTED"])
def test_the_err_code_of_an_accepted_message_means_nothing(status: str) -> None:
    assert event(status=status, **{"err-code": "6"}).error is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC)),
        ({"message-timestamp": ...}, datetime(2026, 3, 4, 9, 14, tzinfo=UTC)),
        ({"message-timestamp": "soon"}, datetime(2026, 3, 4, 9, 14, tzinfo=UTC)),
        (
            {"message-timestamp": ..., "scts": ..., "timestamp": "1772615727"},
            datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC),
        ),
        ({"message-timestamp": ..., "scts": "2613040914"}, None),
        ({"message-timestamp": ..., "scts": "260304"}, None),
        ({"message-timestamp": ..., "scts": ...}, None),
    ],
)
def test_the_time_is_the_providers_else_the_carriers_else_that_of_signing(fields: Any, expected: Any) -> None:
    assert event(**fields).occurred_at == expected


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_smallest_receipt_in_practice_is_read(transport: Transport) -> None:
    read = event_of(transport({"messageId": "0C", "msisdn": "447700900433", "status": "expired"}))
    assert (read.family, read.status, read.recipient, read.sender) == (
        "delivery-receipt",
        "expired",
        "447700900433",
        None,
    )
    assert (read.price, read.client_ref, read.error, read.occurred_at) == (None, None, None, None)


@pytest.mark.parametrize("length", [40, 100, 300])
def test_a_client_ref_of_any_length_is_read(length: int) -> None:
    assert event(**{"client-ref": "x" * length}).client_ref == "x" * length


def test_signing_parameters_and_new_ones_disturb_nothing() -> None:
    read = event(timestamp="1772615775", nonce="5d0f3c1e", sig="00", tomorrow="x")
    assert (read.id, read.occurred_at) == (event().id, event().occurred_at)
