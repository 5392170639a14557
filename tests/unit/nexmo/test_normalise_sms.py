"""SMS API, inbound SMS: the same event from a query, a form and JSON."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.nexmo.event import Event, Price
from tests.support.callbacks import event_of, form_callback, get_callback, json_callback

INBOUND = {
    "msisdn": "447700900417",
    "to": "12015550142",
    "messageId": "0C0000009D3E71A4",
    "text": "Moor at berth 7?",
    "type": "text",
    "keyword": "MOOR",
    "message-timestamp": "2026-03-04 09:15:27",
}
TRANSPORTS = [get_callback, form_callback, json_callback]
Transport = Callable[[dict[str, Any]], Callback]


def event(transport: Transport = json_callback, **fields: Any) -> Event:
    """The event of an inbound SMS; a field given as ``...`` is left out."""
    payload = {**INBOUND, **fields}
    return event_of(transport({name: value for name, value in payload.items() if value is not ...}))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_inbound_sms_is_read_from_every_transport(transport: Transport) -> None:
    read = event(transport)
    assert (read.family, read.channel, read.status) == ("inbound-sms", "sms", None)
    assert (read.message_id, read.sender, read.recipient) == ("0C0000009D3E71A4", "447700900417", "12015550142")
    assert (read.text, read.content_type) == ("Moor at berth 7?", "text")
    assert read.occurred_at == datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC)
    assert (read.error, read.price, read.client_ref) == (None, None, None)
    assert read.payload == INBOUND


def test_every_transport_gives_the_same_event() -> None:
    events = [event(transport) for transport in TRANSPORTS]
    for name in set(Event.__slots__) - {"raw"}:
        assert len({repr(getattr(read, name)) for read in events}) == 1, name


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_unicode_is_a_text(transport: Transport) -> None:
    read = event(transport, type="unicode", text="Ebbe & Flut = größer 😀")
    assert (read.content_type, read.text) == ("text", "Ebbe & Flut = größer 😀")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("text", "expected"), [(..., None), ("?", "?")], ids=["without text", "with text"])
@pytest.mark.parametrize("kind", ["binary", ...], ids=["declared", "undeclared"])
def test_a_binary_sms_may_have_a_text_or_none(transport: Transport, text: Any, expected: Any, kind: Any) -> None:
    read = event(transport, type=kind, text=text, data="0011223344", udh="06050415811581")
    assert (read.family, read.text) == ("inbound-sms", expected)
    assert read.content_type == ("binary" if kind == "binary" or expected is None else "text")
    assert read.payload["data"] == "0011223344"


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("part", ["1", "2", "3"])
def test_each_part_of_a_long_sms_is_an_event_of_its_own(transport: Transport, part: str) -> None:
    concat = {"concat": "true", "concat-ref": "a7", "concat-total": "3", "concat-part": part}
    read = event(transport, messageId=f"0C0000009D3E71A{part}", **concat)
    assert read.message_id == f"0C0000009D3E71A{part}"
    assert {name: read.payload[name] for name in concat} == concat


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("text", ["", "null", "0", " ", "+", "%26"])
def test_any_text_that_a_person_sends_arrives_as_it_is(transport: Transport, text: str) -> None:
    assert event(transport, text=text).text == text


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    "extra",
    [
        {"api-key": "k7m2p9qa"},
        {"timestamp": "1772615727", "nonce": "5d0f3c1e-8a44-4b7e-9c2b-0e6f1a2b3c4d", "sig": "00"},
        {"keyword": "Hello"},
        {"network-code": "23415", "sessionId": "1"},
        {"username": "u", "password": "p"},
        {"of-tomorrow": "x"},
    ],
)
def test_extras_are_carried_in_the_payload_and_disturb_nothing(transport: Transport, extra: dict[str, str]) -> None:
    plain, read = event(transport), event(transport, **extra)
    assert read.payload == {**plain.payload, **extra}
    assert (read.id, read.text, read.sender, read.occurred_at) == (
        plain.id,
        plain.text,
        plain.sender,
        plain.occurred_at,
    )


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-03-04 09:15:27", datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC)),
        ("2026-03-04T09:15:27+00:00", datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC)),
        ("2026-03-04T10:15:27+0100", datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC)),
        ("2026-03-04T09:15:27Z", datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC)),
        ("\\2026-03-04 09:15:27", datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC)),
        (1772615727, datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC)),
        ("soon", None),
        ("null", None),
        (..., None),
    ],
)
def test_the_time_is_read_in_every_spelling(stamp: Any, expected: datetime | None) -> None:
    assert event(**{"message-timestamp": stamp}).occurred_at == expected


@pytest.mark.parametrize("timestamp", ["1772615727", 1772615727], ids=["text", "number"])
def test_the_time_of_signing_stands_in_for_a_missing_one(timestamp: Any) -> None:
    read = event(timestamp=timestamp, **{"message-timestamp": ...})
    assert read.occurred_at == datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC)


def test_json_numbers_are_accepted_where_text_is_documented() -> None:
    read = event(msisdn=447700900417, to=12015550142, messageId=42, text=7, price=0.0333)
    assert (read.sender, read.recipient, read.message_id, read.text) == ("447700900417", "12015550142", "42", "7")
    assert read.price == Price("0.0333", "EUR")


def test_a_type_of_tomorrow_is_carried() -> None:
    assert event(type="flash").content_type == "flash"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_four_letters_null_mean_no_value_but_for_a_text(transport: Transport) -> None:
    read = event(transport, to="null", type="null", price="null", text="null")
    assert (read.recipient, read.price, read.content_type, read.text) == (None, None, "text", "null")


def test_a_plus_in_a_query_does_not_spoil_a_number() -> None:
    request = Callback("GET", "/", "msisdn=+447700900417&to=%2B12015550142&messageId=1&text=x", "", "", b"", 0.0)
    read = event_of(request)
    assert (read.sender, read.recipient) == ("447700900417", "12015550142")
    assert read.raw == request.query.encode()
