"""Messages v1 inbound messages: every channel, every type, and the differences between documents and reality."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ackfirst.shared.nexmo.event import Event, Price
from tests.support.callbacks import event_of, json_callback
from tests.support.factories import API_KEY, APPLICATION, NOW, inbound_message

MEDIA = {"url": "https://media.test/1", "name": "berth.bin"}
CONTACTS = [
    {"name": {"formatted_name": "Ilse Brandt", "first_name": "Ilse"}, "phones": [{"phone": "4930555017"}]},
    {"name": {"first_name": "Jan", "last_name": "Moor"}},
    {"emails": [{"email": "nobody@harbour.test"}]},
]
ORDER = {
    "catalog_id": "1",
    "product_items": [{"product_retailer_id": "r", "quantity": "2", "item_price": "9.99", "currency": "GBP"}],
}

# message_type, its member, the channels that have it, the text that a person reads
CONTENT: list[tuple[str, Any, str, str | None]] = [
    ("text", "Moor at berth 7?", "sms mms rcs whatsapp messenger viber_service", "Moor at berth 7?"),
    ("image", {**MEDIA, "caption": "the berth"}, "mms", "the berth"),
    ("image", MEDIA, "mms rcs whatsapp messenger viber_service", None),
    ("audio", MEDIA, "mms rcs whatsapp messenger", None),
    ("video", MEDIA, "mms rcs whatsapp messenger viber_service", None),
    ("file", {**MEDIA, "caption": "tide table"}, "mms", "tide table"),
    ("file", MEDIA, "mms rcs whatsapp messenger viber_service", None),
    ("vcard", MEDIA, "mms rcs", None),
    ("location", {"lat": 51.5, "long": -0.12}, "rcs whatsapp", None),
    ("location", {"lat": 51.5, "long": -0.12, "name": "Pier", "address": "Quay 7"}, "whatsapp", "Pier"),
    ("location", {"lat": 51.5, "long": -0.12, "address": "Quay 7"}, "whatsapp", "Quay 7"),
    ("reply", {"id": "r-1", "title": "North"}, "rcs whatsapp", "North"),
    ("reply", {"id": "r-1", "title": "North", "description": "the pier"}, "whatsapp", "North"),
    ("button", {"payload": "north", "text": "Go north"}, "rcs", "Go north"),
    ("button", {"payload": {"flow_token": "ft-204"}, "text": "sent", "subtype": "flow"}, "whatsapp", "sent"),
    ("button", {"payload": {"flow_token": "ft-204"}}, "whatsapp", None),
    ("contacts", CONTACTS, "whatsapp", "Ilse Brandt, Jan Moor"),
    ("order", ORDER, "whatsapp", None),
    ("sticker", {"url": "https://media.test/1"}, "whatsapp", None),
    ("reaction", {"action": "react", "emoji": "😀"}, "whatsapp", "😀"),
    ("reaction", {"action": "unreact"}, "whatsapp", None),
]
CASES = [
    pytest.param(channel, kind, member, text, id=f"{channel}-{kind}-{number}")
    for number, (kind, member, channels, text) in enumerate(CONTENT)
    for channel in channels.split()
]


def event(**fields: Any) -> Event:
    """The event of an inbound message; a field given as None is left out."""
    payload = inbound_message(**fields)
    return event_of(json_callback({name: value for name, value in payload.items() if value is not None}))


@pytest.mark.parametrize(("channel", "kind", "member", "text"), CASES)
def test_every_type_of_every_channel_has_its_type_and_its_text(
    channel: str, kind: str, member: Any, text: str | None
) -> None:
    read = event(**{"channel": channel, "text": None, "message_type": kind, kind: member})
    assert (read.family, read.channel, read.content_type, read.text) == ("inbound-message", channel, kind, text)
    assert read.payload[kind] == member


@pytest.mark.parametrize(("channel", "kind", "member", "text"), CASES)
def test_a_type_that_is_not_declared_is_seen_by_its_member(
    channel: str, kind: str, member: Any, text: str | None
) -> None:
    read = event(**{"channel": channel, "text": None, kind: member})
    assert (read.content_type, read.text) == (kind, text)


def test_a_whole_sms_becomes_an_event() -> None:
    payload = inbound_message(
        sms={"num_messages": "1", "keyword": "MOOR"},
        usage={"currency": "EUR", "price": "0.0071"},
        origin={"network_code": "23433"},
    )
    request = json_callback(payload)
    read = event_of(request)
    assert read == Event(
        id=read.id,
        family="inbound-message",
        channel="sms",
        message_id="6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913",
        status=None,
        sender="447700900417",
        recipient="12015550142",
        text="Moor at berth 7?",
        content_type="text",
        occurred_at=datetime(2026, 3, 4, 9, 15, 27, tzinfo=UTC),
        received_at=datetime.fromtimestamp(NOW, UTC),
        account=API_KEY,
        application_id=APPLICATION,
        client_ref=None,
        error=None,
        price=Price("0.0071", "EUR"),
        payload=payload,
        raw=request.body,
    )


@pytest.mark.parametrize("channel", ["whatsapp", "messenger"])
def test_an_unsupported_message_has_no_text(channel: str) -> None:
    read = event(channel=channel, message_type="unsupported", text=None)
    assert (read.family, read.content_type, read.text) == ("inbound-message", "unsupported", None)


def test_an_mms_with_several_attachments_reads_the_first_caption() -> None:
    attachments = [
        {"type": "image", "url": "https://media.test/1"},
        {"type": "video", "url": "https://media.test/2", "caption": "the tide"},
    ]
    declared = event(channel="mms", message_type="content", text=None, content=attachments)
    assert (declared.content_type, declared.text) == ("content", "the tide")
    assert event(channel="mms", text=None, content=attachments).content_type == "image"


def test_the_message_text_goes_before_a_caption() -> None:
    read = event(channel="mms", message_type="image", text="look", image={**MEDIA, "caption": "the berth"})
    assert (read.content_type, read.text) == ("image", "look")


@pytest.mark.parametrize("name", ["text", "caption", "title"])
def test_a_type_of_tomorrow_is_carried_and_its_usual_words_are_read(name: str) -> None:
    read = event(message_type="poll", text=None, poll={name: "Which pier?"})
    assert (read.family, read.content_type, read.text) == ("inbound-message", "poll", "Which pier?")


@pytest.mark.parametrize(
    ("channel", "expected"),
    [("telegram", "telegram"), ("viber_service_msg", "viber_service"), (None, None), ({}, None)],
)
def test_a_channel_of_tomorrow_is_carried(channel: Any, expected: str | None) -> None:
    assert event(channel=channel).channel == expected


@pytest.mark.parametrize(
    ("party", "expected"),
    [
        ("447700900417", "447700900417"),
        ("+447700900417", "447700900417"),
        (" 447700900417", "447700900417"),
        (447700900417, "447700900417"),
        ("007002177", "007002177"),
        ("DE.90417733021845", "DE.90417733021845"),
        ("HARBOUR", "HARBOUR"),
        ("+HARBOUR", "+HARBOUR"),
        ("ilse@harbour.test", "ilse@harbour.test"),
        ("", None),
        ([], None),
    ],
)
def test_a_party_is_a_number_without_plus_or_an_id_as_it_came(party: Any, expected: str | None) -> None:
    read = event(**{"from": party, "to": party})
    assert (read.sender, read.recipient) == (expected, expected)


def test_an_empty_text_is_a_text() -> None:
    assert event(text="").text == ""


@pytest.mark.parametrize(
    "extra",
    [
        {"context_status": "none"},
        {"context_status": "available", "context": {"message_uuid": "m", "message_from": "1"}},
        {"context_status": "unavailable", "context": {"message_uuid": "m"}},
        {"context": {"whatsapp_referred_product": {"catalog_id": "1"}}},
        {"whatsapp": {"whatsapp_referred_product": {"catalog_id": "1"}}},
        {"whatsapp": {"referral": {"body": "b"}, "sender": {"user_id": "DE.1"}}},
        {"whatsapp": {"waba_id": "31415926535"}},
        {"profile": {"name": "Ilse Brandt", "username": "ilse_b"}, "provider_message": "x"},
        {"_self": {"href": "https://api-eu.vonage.com/v1/messages/short"}},
        {"sms": {"num_messages": "2", "total_count": "2"}},
        {"mms": {"participants": ["447700900417"]}},
        {"of_tomorrow": [1, {"a": None}]},
    ],
)
def test_extras_are_carried_in_the_payload_and_disturb_nothing(extra: dict[str, Any]) -> None:
    plain, read = event(), event(**extra)
    assert read.payload == {**plain.payload, **extra}
    assert (read.id, read.text, read.content_type, read.sender) == (plain.id, plain.text, "text", plain.sender)


def test_an_inbound_client_ref_is_read() -> None:
    assert event(client_ref="berth-7/inv-118").client_ref == "berth-7/inv-118"
