"""The table of families agrees with itself, so that a new family is one row."""

import pickle

import pytest

from ackfirst.shared.nexmo.classify import classify, message_id
from ackfirst.shared.nexmo.family import WEBHOOKS, Family, Product
from ackfirst.shared.nexmo.reading import Reading
from ackfirst.shared.nexmo.sms import PARAMETERS

KNOWN = [family for family in Family if family is not Family.OTHER]


def test_every_family_has_a_row_and_a_letter_of_its_own() -> None:
    letters = [family.facts.letter for family in Family]
    assert len({*letters}) == len(Family)
    assert {len(letter) for letter in letters} == {1}


def test_a_family_is_its_name() -> None:
    assert Family("inbound-sms") is Family.INBOUND_SMS == "inbound-sms"
    assert pickle.loads(pickle.dumps(Family.OTHER)) is Family.OTHER


def test_every_family_but_other_has_a_webhook_named_after_it() -> None:
    assert {family: f"/webhooks/{family}" for family in KNOWN} == WEBHOOKS


@pytest.mark.parametrize("family", KNOWN)
def test_a_callback_of_a_family_has_what_identifies_it(family: Family) -> None:
    facts = family.facts
    assert {*facts.identity, facts.message_id} <= {*facts.required}


@pytest.mark.parametrize("family", KNOWN)
def test_the_fields_that_a_row_asks_for_make_a_callback_of_that_family(family: Family) -> None:
    facts = family.facts
    fields = dict.fromkeys(facts.required, "x") | dict.fromkeys(sorted(facts.any_of)[:1], "x")
    assert classify(Reading("json", fields)) is family
    assert message_id(family, fields) == "x"


def test_parameters_of_the_sms_api_include_all_that_its_families_are_read_by() -> None:
    rows = [family.facts for family in Family if family.facts.product is Product.SMS]
    assert all(
        {*facts.identity, *facts.optional_identity, *facts.required, *facts.any_of} <= PARAMETERS for facts in rows
    )
