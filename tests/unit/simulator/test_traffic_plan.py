"""The plan of a run: how many of what, in which order, always the same for a seed."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.content import RECIPES, Scene
from ackfirst.simulator.planned import Kind
from ackfirst.simulator.traffic import Shares
from tests.support.factories import NOW
from tests.support.simulated import MIXED, ONLY_GENUINE, plan

CHANNELS = {"sms", "mms", "rcs", "whatsapp", "messenger", "viber_service"}
LIFE = {"submitted": 0, "accepted": 0, "buffered": 1, "delivered": 2, "read": 3}


def test_the_same_seed_and_start_give_the_same_traffic() -> None:
    assert plan(500, seed=7) == plan(500, seed=7)


def test_the_same_seed_gives_the_same_events_at_another_time() -> None:
    assert [made.event_id for made in plan(500, start=NOW)] == [made.event_id for made in plan(500, start=NOW + 86400)]


def test_another_seed_gives_other_events() -> None:
    assert {made.event_id for made in plan(500, seed=1)}.isdisjoint(made.event_id for made in plan(500, seed=2))


def test_every_kind_has_its_share() -> None:
    assert Counter(made.kind for made in plan(1000)) == {
        Kind.GENUINE: 500,
        Kind.DUPLICATE: 100,
        Kind.WRONG_SECRET: 100,
        Kind.UNSIGNED: 100,
        Kind.TAMPERED: 200,
    }


_share = st.floats(min_value=0, max_value=0.24)


@given(
    count=st.integers(min_value=1, max_value=120),
    shares=st.builds(
        Shares, duplicates=_share, wrong_secret=_share, unsigned=_share, tampered=_share, disorder=st.floats(0, 1)
    ),
)
def test_a_plan_is_as_long_as_it_was_asked_for(count: int, shares: Shares) -> None:
    made = plan(count, shares)
    kinds = Counter(one.kind for one in made)

    assert len(made) == count or not kinds[Kind.GENUINE]
    assert all(kinds[kind] <= wanted for kind, wanted in shares.counts(count).items() if kind is not Kind.GENUINE)


def test_shares_that_leave_nothing_genuine_are_recognised() -> None:
    assert not Shares(duplicates=0.5, tampered=0.5).leave_something_genuine
    assert Shares().leave_something_genuine


def test_every_family_channel_type_and_status_occurs_once_all_recipes_had_their_turn() -> None:
    scene = Scene(Random(3), NOW)
    contents = [content for recipe in RECIPES for content in recipe(scene)]
    made = plan(len(contents), ONLY_GENUINE)

    def essence(content: object) -> tuple[object, ...]:
        return tuple(getattr(content, name) for name in ("family", "channel", "content_type", "transport"))

    assert {essence(one.content) for one in made} == {essence(content) for content in contents}
    assert {content.family for content in contents} == set(Family)
    assert {content.channel for content in contents if content.family is Family.INBOUND_MESSAGE} == CHANNELS
    assert {content.status for content in contents if content.family is Family.MESSAGE_STATUS} == {
        "submitted",
        "delivered",
        "read",
        "rejected",
        "undeliverable",
    }
    assert {content.transport for content in contents if content.family is Family.DELIVERY_RECEIPT} == {
        "json",
        "form",
        "query",
    }


def test_a_duplicate_comes_after_the_genuine_callback_that_it_repeats() -> None:
    made = plan(2000)
    genuine = {one.event_id: place for place, one in enumerate(made) if one.kind is Kind.GENUINE}
    duplicates = [(place, one) for place, one in enumerate(made) if one.kind is Kind.DUPLICATE]

    assert duplicates
    for place, one in duplicates:
        assert genuine[one.event_id] < place
        assert replace(one, kind=Kind.GENUINE) == made[genuine[one.event_id]]


def test_only_duplicates_share_an_event() -> None:
    originals = [one.event_id for one in plan(3000) if one.kind is not Kind.DUPLICATE]
    assert len(set(originals)) == len(originals)


def _lives(shares: Shares) -> list[list[str]]:
    """The statuses of each message in the order in which they are sent."""
    lives: dict[str, list[str]] = {}
    for one in plan(3000, shares):
        if one.content.status in LIFE and one.content.family is not Family.OTHER:
            fields = one.content.fields
            lives.setdefault(fields.get("message_uuid") or fields["messageId"], []).append(one.content.status)
    return list(lives.values())


def _in_order(statuses: list[str]) -> bool:
    return all(LIFE[earlier] <= LIFE[later] for earlier, later in pairwise(statuses))


def test_without_disorder_a_message_never_goes_back_in_its_life() -> None:
    assert all(_in_order(life) for life in _lives(ONLY_GENUINE))


def test_disorder_lets_later_statuses_come_first() -> None:
    backwards = [life for life in _lives(replace(ONLY_GENUINE, disorder=0.5)) if not _in_order(life)]
    assert len(backwards) > 20


def test_an_unsigned_callback_always_has_a_time_in_its_body() -> None:
    assert all(one.content.family is not Family.OTHER for one in plan(3000) if one.kind is Kind.UNSIGNED)


@pytest.mark.parametrize("shares", [MIXED, ONLY_GENUINE])
def test_the_messages_api_always_sends_json(shares: Shares) -> None:
    for one in plan(1000, shares):
        if one.content.has_token:
            assert one.content.transport == "json"
            assert one.content_type is not None
            assert one.content_type.startswith("application/json")
