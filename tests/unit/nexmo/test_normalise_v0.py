"""Messages v0.1: the nested shape becomes the same event as v1 does."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ackfirst.shared.nexmo.event import Event, EventError, Price
from tests.support.callbacks import event_of, json_callback
from tests.support.factories import inbound_message

UUID = "6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913"
PHONE = {"type": "whatsapp", "number": "447700900417"}
OURS = {"type": "whatsapp", "number": "12015550142"}

CONTENT: list[tuple[str, Any, str | None]] = [
    ("text", "Tide table please", "Tide table please"),
    ("image", {"url": "https://media.test/1", "caption": "the berth"}, "the berth"),
    ("image", {"url": "https://media.test/1"}, None),
    ("audio", {"url": "https://media.test/1"}, None),
    ("video", {"url": "https://media.test/1"}, None),
    ("file", {"url": "https://media.test/1", "caption": "tide table"}, "tide table"),
    ("location", {"longitude": "-0.12", "latitude": "51.5", "name": "Pier", "address": "Quay 7"}, "Pier"),
    ("button", {"payload": "north", "text": "Go north"}, "Go north"),
    ("of_tomorrow", {"title": "Which pier?"}, "Which pier?"),
]
# channel in v0.1, in v1, the member that holds the contact's and our address
CHANNELS = [
    ("sms", "sms", "number", "number"),
    ("mms", "mms", "number", "number"),
    ("whatsapp", "whatsapp", "number", "number"),
    ("messenger", "messenger", "id", "id"),
    ("viber_service_msg", "viber_service", "number", "id"),
    ("of_tomorrow", "of_tomorrow", "id", "id"),
]


def inbound(kind: str, member: Any = None, **fields: Any) -> Event:
    content = {"type": kind} if member is None else {"type": kind, kind: member}
    message = {"content": content, "sms": {"num_messages": "1"}}
    base = {"message_uuid": UUID, "timestamp": "2026-03-04T09:17:30.101Z", "to": OURS, "from": PHONE}
    return event_of(json_callback({**base, "message": message, "direction": "inbound", **fields}))


def status(state: str, **fields: Any) -> Event:
    base = {"message_uuid": UUID, "timestamp": "2026-03-04T09:17:30.101Z", "to": PHONE, "from": OURS}
    return event_of(json_callback({**base, "status": state, **fields}))


@pytest.mark.parametrize(("kind", "member", "text"), CONTENT)
def test_every_type_has_its_type_and_its_text(kind: str, member: Any, text: str | None) -> None:
    read = inbound(kind, member)
    assert (read.family, read.content_type, read.text) == ("inbound-message", kind, text)
    assert read.payload["message"]["content"][kind] == member


def test_an_unsupported_message_has_no_text() -> None:
    read = inbound("unsupported")
    assert (read.family, read.content_type, read.text) == ("inbound-message", "unsupported", None)


@pytest.mark.parametrize(("channel", "expected", "theirs", "ours"), CHANNELS)
def test_every_channel_has_its_v1_name_and_its_parties(channel: str, expected: str, theirs: str, ours: str) -> None:
    contact, we = {"type": channel, theirs: "447700900450"}, {"type": channel, ours: "70021"}
    read = inbound("text", "hello", **{"from": contact, "to": we})
    assert (read.channel, read.sender, read.recipient) == (expected, "447700900450", "70021")
    sent = status("delivered", **{"from": we, "to": contact})
    assert (sent.channel, sent.sender, sent.recipient) == (expected, "70021", "447700900450")


@pytest.mark.parametrize("channel", [name for name, *_ in CHANNELS])
@pytest.mark.parametrize("state", ["submitted", "delivered", "read", "rejected", "undeliverable", "of-tomorrow"])
def test_every_status_of_every_channel_is_read(channel: str, state: str) -> None:
    read = status(state, to={"type": channel, "number": "1"}, **{"from": {"type": channel, "number": "2"}})
    assert (read.family, read.status, read.text, read.content_type) == ("message-status", state, None, None)


@pytest.mark.parametrize(
    ("party", "expected"),
    [
        ({"number": "1", "id": "2"}, "1"),
        ({"number": "", "id": "2"}, "2"),
        ({"number": None, "id": "2"}, "2"),
        ({"number": 447700900417}, "447700900417"),
        ({"number": "+447700900417"}, "447700900417"),
        ({}, None),
        ({"number": {}, "id": []}, None),
    ],
)
def test_a_party_is_its_number_or_its_id_whichever_is_there(party: dict[str, Any], expected: str | None) -> None:
    assert inbound("text", "hello", **{"from": party}).sender == expected


def test_a_channel_is_read_from_whichever_party_names_it() -> None:
    assert inbound("text", "hello", to={"number": "1"}).channel == "whatsapp"
    assert inbound("text", "hello", to={}, channel="sms", **{"from": {}}).channel == "sms"
    assert inbound("text", "hello", to={}, **{"from": {}}).channel is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": 1300, "reason": "Not part of the network"}, EventError("1300", "Not part of the network")),
        ({"code": "1300"}, EventError("1300")),
        ({"title": "1300", "detail": "d"}, EventError("1300", "d")),
        ({}, None),
    ],
)
def test_an_error_is_read_in_either_versions_spelling(error: Any, expected: EventError | None) -> None:
    assert status("rejected", error=error).error == expected


def test_price_reference_and_time_are_read() -> None:
    read = status("submitted", usage={"currency": "EUR", "price": "0.02"}, client_ref="inv-118")
    assert (read.price, read.client_ref) == (Price("0.02", "EUR"), "inv-118")
    assert read.occurred_at == datetime(2026, 3, 4, 9, 17, 30, 101000, tzinfo=UTC)


def test_a_status_of_a_workflow_is_a_message_status() -> None:
    links = {"workflow": {"dispatch_uuid": "d", "href": "https://api.nexmo.com/v0.1/dispatch/d"}}
    assert status("delivered", _links=links).family == "message-status"


def test_both_versions_of_one_message_are_the_same_event() -> None:
    old = inbound(
        "text",
        "Moor at berth 7?",
        timestamp="2026-03-04T09:15:27Z",
        to={"type": "sms", "number": "12015550142"},
        **{"from": {"type": "sms", "number": "447700900417"}},
    )
    new = event_of(json_callback(inbound_message()))
    differing = {name for name in Event.__slots__ if getattr(old, name) != getattr(new, name)}
    assert differing == {"payload", "raw"}


def test_a_flat_party_beside_a_nested_message_is_read() -> None:
    read = inbound("text", "hello", to="12015550142", **{"from": "447700900417"}, channel="sms")
    assert (read.sender, read.recipient, read.channel, read.text) == ("447700900417", "12015550142", "sms", "hello")


@pytest.mark.parametrize("message", ["hello", None, [], {}, {"content": "hello"}, {"content": []}])
def test_a_message_of_another_shape_is_carried_without_text(message: Any) -> None:
    read = inbound("text", "hello", message=message)
    assert (read.family, read.text, read.payload["message"]) == ("inbound-message", None, message)
