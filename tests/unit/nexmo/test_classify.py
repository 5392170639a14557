"""The family is decided by what a callback says, never by where it arrived."""

from typing import Any

import pytest

from ackfirst.shared.nexmo.classify import classify, message_id
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.reading import Encoding, Reading

UUID = "6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913"
SMS_ID = "0C0000009D3E71A4"
ENCODINGS: tuple[Encoding, ...] = ("json", "form", "query")

V1_CONTENT: dict[str, Any] = {
    "text": "Moor at berth 7?",
    "image": {"url": "https://media.test/1"},
    "audio": {"url": "https://media.test/1"},
    "video": {"url": "https://media.test/1"},
    "file": {"url": "https://media.test/1"},
    "vcard": {"url": "https://media.test/1"},
    "location": {"lat": 51.5, "long": -0.1},
    "reply": {"id": "1", "title": "Yes"},
    "button": {"payload": "p", "text": "Yes"},
    "contacts": [],
    "order": {"catalog_id": "1", "product_items": []},
    "sticker": {"url": "https://media.test/1"},
    "reaction": {"action": "unreact"},
    "content": [{"type": "image", "url": "https://media.test/1"}],
}
MESSAGE_STATUSES = ("submitted", "delivered", "read", "rejected", "undeliverable", "accepted", "seen", "of-tomorrow")
RECEIPT_STATUSES = ("accepted", "buffered", "delivered", "expired", "failed", "rejected", "unknown", "DELIVRD", "new")


def family_of(fields: dict[str, Any], encoding: Encoding = "json") -> Family:
    return classify(Reading(encoding, fields))


@pytest.mark.parametrize("member", V1_CONTENT)
@pytest.mark.parametrize("declared", [True, False], ids=["with message_type", "without"])
def test_v1_content_makes_an_inbound_message(member: str, declared: bool) -> None:
    fields = {"message_uuid": UUID, "to": "1", "from": "2", member: V1_CONTENT[member]}
    typed = {"message_type": member} if declared else {}
    assert family_of({**fields, **typed}) is Family.INBOUND_MESSAGE


@pytest.mark.parametrize("kind", ["unsupported", "of-tomorrow"])
def test_a_v1_message_type_alone_makes_an_inbound_message(kind: str) -> None:
    assert family_of({"message_uuid": UUID, "message_type": kind}) is Family.INBOUND_MESSAGE


@pytest.mark.parametrize("kind", ["text", "image", "audio", "video", "file", "location", "button", "unsupported"])
def test_v0_1_content_makes_an_inbound_message(kind: str) -> None:
    party = {"type": "whatsapp", "number": "447700900417"}
    fields = {"message_uuid": UUID, "to": party, "from": party, "message": {"content": {"type": kind}}}
    assert family_of(fields) is Family.INBOUND_MESSAGE


@pytest.mark.parametrize("status", MESSAGE_STATUSES)
@pytest.mark.parametrize("to", ["447700900417", {"type": "sms", "number": "447700900417"}], ids=["v1", "v0.1"])
def test_a_message_id_with_any_status_is_a_message_status(status: str, to: Any) -> None:
    assert family_of({"message_uuid": UUID, "to": to, "status": status}) is Family.MESSAGE_STATUS


def test_a_status_that_is_no_value_does_not_hide_the_content() -> None:
    assert family_of({"message_uuid": UUID, "status": None, "text": "hello"}) is Family.INBOUND_MESSAGE


@pytest.mark.parametrize("status", RECEIPT_STATUSES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_sms_id_with_any_status_is_a_delivery_receipt(status: str, encoding: Encoding) -> None:
    assert family_of({"messageId": SMS_ID, "msisdn": "1", "status": status}, encoding) is Family.DELIVERY_RECEIPT


@pytest.mark.parametrize(
    "content",
    [
        {"text": "hello", "type": "text"},
        {"text": "hello"},
        {"text": ""},
        {"text": "", "type": "unicode"},
        {"type": "binary", "data": "00FF", "udh": "0500"},
        {"type": "binary", "data": "00FF", "text": "?"},
        {"data": "00FF"},
        {"type": "text"},
        {"text": "null", "status": "null"},
    ],
)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_sms_id_with_any_content_is_an_inbound_sms(content: dict[str, str], encoding: Encoding) -> None:
    assert family_of({"messageId": SMS_ID, "msisdn": "1", **content}, encoding) is Family.INBOUND_SMS


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_sms_with_an_api_key_is_one_like_without(encoding: Encoding) -> None:
    fields = {"messageId": SMS_ID, "msisdn": "1", "text": "hello", "api-key": "k7m2p9qa", "sig": "00", "new": "1"}
    assert family_of(fields, encoding) is Family.INBOUND_SMS


@pytest.mark.parametrize("sms_id", [123, "123"])
def test_numbers_are_accepted_where_text_is_documented(sms_id: object) -> None:
    assert family_of({"messageId": sms_id, "msisdn": 447700900417, "status": 0}) is Family.DELIVERY_RECEIPT


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"dispatch_uuid": UUID, "template": "failover", "status": "completed"},
        {"request_id": UUID, "type": "event", "channel": "sms", "status": "completed"},
        {"message_uuid": UUID},
        {"message_uuid": UUID, "to": "1", "from": "2", "channel": "sms"},
        {"message_uuid": UUID, "status": {}},
        {"messageId": SMS_ID, "msisdn": "1"},
        {"messageId": SMS_ID, "status": "delivered"},
        {"msisdn": "1", "text": "hello"},
        *({"message_uuid": odd, "status": "read"} for odd in (None, "", "null", True, [], {}, [UUID], {"id": UUID})),
        *({"messageId": odd, "msisdn": "1", "status": "read"} for odd in (None, "", "null", False, [], {})),
    ],
)
def test_everything_else_is_family_other(fields: dict[str, Any]) -> None:
    assert family_of(fields) is Family.OTHER


@pytest.mark.parametrize("encoding", ["form", "query"])
def test_the_messages_api_never_sends_parameters(encoding: Encoding) -> None:
    assert family_of({"message_uuid": UUID, "status": "read"}, encoding) is Family.OTHER


def test_a_messages_id_goes_before_an_sms_id() -> None:
    fields = {"message_uuid": UUID, "messageId": SMS_ID, "msisdn": "1", "status": "read"}
    assert family_of(fields) is Family.MESSAGE_STATUS


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (Family.INBOUND_MESSAGE, UUID),
        (Family.MESSAGE_STATUS, UUID),
        (Family.INBOUND_SMS, SMS_ID),
        (Family.DELIVERY_RECEIPT, SMS_ID),
        (Family.OTHER, None),
    ],
)
def test_each_family_names_its_message_by_its_own_field(family: Family, expected: str | None) -> None:
    assert message_id(family, {"message_uuid": UUID, "messageId": SMS_ID}) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(7, "7"), (None, None), ("null", None), ({}, None), ("x\udce9", "x\N{REPLACEMENT CHARACTER}")],
)
def test_a_message_id_is_text_that_utf_8_can_hold_or_none(value: object, expected: str | None) -> None:
    assert message_id(Family.INBOUND_SMS, {"messageId": value}) == expected
