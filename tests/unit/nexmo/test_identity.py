"""One id for every delivery of an event, another for every other event."""

import re
from hashlib import sha256
from itertools import combinations
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.identity import event_id
from tests.support.callbacks import any_text, hostile_fields

UUID = "6f1d2b0e-3c55-4d8a-9b6e-1f20c7a4e913"
SMS_ID = "0C0000009D3E71A4"
FIELDS = {"message_uuid": UUID, "messageId": SMS_ID, "status": "delivered", "err-code": "0"}
PARTS = {
    Family.INBOUND_MESSAGE: {"message_uuid"},
    Family.MESSAGE_STATUS: {"message_uuid", "status"},
    Family.INBOUND_SMS: {"messageId"},
    Family.DELIVERY_RECEIPT: {"messageId", "status", "err-code"},
    Family.OTHER: set[str](),
}
REQUIRED = [(family, name) for family, names in PARTS.items() for name in sorted(names - {"err-code"})]
usable_text = any_text.filter(lambda text: text not in {"", "null"})


def id_of(family: Family, fields: dict[str, Any], *, account: str | None = "k7m2p9qa", body: bytes = b"body") -> str:
    return event_id(family, account, fields, body)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        (Family.INBOUND_MESSAGE, "m-0bec99cdc944f778e4083f831eeeac8a"),
        (Family.MESSAGE_STATUS, "s-371810163c66a428cb8fc5506f295e8e"),
        (Family.INBOUND_SMS, "i-f668f7adca1631d6079653cb33eaa0da"),
        (Family.DELIVERY_RECEIPT, "d-8eb99566fc4ebcc3fb93ca666ecc0f38"),
        (Family.OTHER, "o-68bd88ec9e0593638b73bd833697cc33"),
    ],
)
def test_ids_never_change_between_releases(family: Family, expected: str) -> None:
    assert id_of(family, FIELDS) == expected


@pytest.mark.parametrize("family", Family)
def test_an_id_is_the_letter_of_the_family_and_32_hex_digits(family: Family) -> None:
    assert re.fullmatch(rf"{family.facts.letter}-[0-9a-f]{{32}}", id_of(family, FIELDS))


def test_an_id_is_the_hash_of_length_prefixed_parts() -> None:
    text = f"15:inbound-message9:=k7m2p9qa36:{UUID}"
    assert id_of(Family.INBOUND_MESSAGE, FIELDS) == f"m-{sha256(text.encode()).hexdigest()[:32]}"


@pytest.mark.parametrize("family", PARTS)
def test_only_the_parts_that_identify_have_a_say(family: Family) -> None:
    rest = {name: "another" for name in FIELDS if name not in PARTS[family]}
    volatile = {"timestamp": "1", "message-timestamp": "2", "nonce": "3", "sig": "4", "jti": "5", "text": "6"}
    assert id_of(family, {**FIELDS, **rest, **volatile}) == id_of(family, FIELDS)


@pytest.mark.parametrize(("family", "name"), [*REQUIRED, (Family.DELIVERY_RECEIPT, "err-code")])
def test_another_value_of_a_part_is_another_event(family: Family, name: str) -> None:
    assert id_of(family, {**FIELDS, name: "another"}) != id_of(family, FIELDS)


@pytest.mark.parametrize("family", [family for family in PARTS if family is not Family.OTHER])
def test_the_body_has_no_say_where_the_parts_are_there(family: Family) -> None:
    assert id_of(family, FIELDS, body=b"pushed again") == id_of(family, FIELDS)


@pytest.mark.parametrize(("family", "name"), REQUIRED)
@pytest.mark.parametrize("unusable", [None, "", "null", True, [], {}, ["x"]])
def test_without_a_usable_part_the_body_identifies(family: Family, name: str, unusable: object) -> None:
    fields = {**FIELDS, name: unusable}
    assert id_of(family, fields) == id_of(family, fields)
    assert id_of(family, fields) != id_of(family, fields, body=b"another")


def test_a_receipt_without_an_err_code_is_identified_by_the_rest() -> None:
    fields = {"messageId": SMS_ID, "status": "delivered"}
    assert id_of(Family.DELIVERY_RECEIPT, fields) == id_of(Family.DELIVERY_RECEIPT, fields, body=b"pushed again")


def test_family_other_is_identified_by_its_body() -> None:
    assert id_of(Family.OTHER, {"a": 1}) == id_of(Family.OTHER, {"a": 2})
    assert id_of(Family.OTHER, {}) != id_of(Family.OTHER, {}, body=b"another")


@pytest.mark.parametrize("family", PARTS)
def test_every_account_has_its_own_events(family: Family) -> None:
    accounts = ("k7m2p9qa", "another", "", "None", None)
    ids = [id_of(family, FIELDS, account=account) for account in accounts]
    assert len(set(ids)) == len(accounts)


def test_no_two_families_share_an_id() -> None:
    bare = [id_of(family, FIELDS)[2:] for family in Family]
    assert len(set(bare)) == len(Family)


@pytest.mark.parametrize("family", [Family.MESSAGE_STATUS, Family.DELIVERY_RECEIPT])
def test_the_case_of_a_status_makes_no_difference(family: Family) -> None:
    assert id_of(family, {**FIELDS, "status": "DELIVERED"}) == id_of(family, FIELDS)


@given(st.integers(), st.integers(), st.integers())
def test_a_number_and_its_text_are_the_same_id(number: int, status: int, code: int) -> None:
    numbers = {"messageId": number, "status": status, "err-code": code}
    texts = {name: str(value) for name, value in numbers.items()}
    assert id_of(Family.DELIVERY_RECEIPT, numbers) == id_of(Family.DELIVERY_RECEIPT, texts)


@pytest.mark.parametrize("family", PARTS)
def test_text_that_utf_8_cannot_hold_identifies_all_the_same(family: Family) -> None:
    ids = [id_of(family, FIELDS | dict.fromkeys(PARTS[family], odd), account=odd) for odd in ("\ud83d", "\udce9")]
    assert ids[0] != ids[1]


@given(st.tuples(*[usable_text] * 3), st.tuples(*[usable_text] * 3))
def test_different_parts_never_run_into_each_other(one: tuple[str, ...], two: tuple[str, ...]) -> None:
    names = ("messageId", "status", "err-code")
    comparable = [(parts[0], parts[1].lower(), parts[2]) for parts in (one, two)]
    assume(comparable[0] != comparable[1])
    ids = [id_of(Family.DELIVERY_RECEIPT, dict(zip(names, parts, strict=True))) for parts in (one, two)]
    assert ids[0] != ids[1]


def test_moving_a_character_from_one_part_to_the_next_gives_another_id() -> None:
    splits = [("ab", "cd", "e"), ("abc", "d", "e"), ("a", "bcd", "e"), ("ab", "c", "de"), ("ab", "cde", "")]
    ids = [event_id(Family.MESSAGE_STATUS, a, {"message_uuid": b, "status": c or "x"}, b"") for a, b, c in splits]
    assert all(one != two for one, two in combinations(ids, 2))


@given(st.sampled_from(Family), st.none() | any_text, hostile_fields, st.binary())
def test_any_fields_have_an_id(family: Family, account: str | None, fields: dict[str, Any], body: bytes) -> None:
    assert re.fullmatch(r"[a-z]-[0-9a-f]{32}", event_id(family, account, fields, body))
