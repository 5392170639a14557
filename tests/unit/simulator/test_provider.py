"""The provider's model: what holds for any schedule of failures, and how its documented figures come out."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.nexmo.family import Family
from ackfirst.simulator.provider import Provider, Stage
from ackfirst.simulator.rules import (
    MESSAGES,
    RULES_BY_FAMILY,
    SMS_INBOUND,
    SMS_RECEIPTS,
    Meaning,
    ProviderPolicy,
    Rules,
)
from tests.support.virtual import Coming, Made, Receiver, Told, play

DAY = 24 * 3600.0

#: The real rules with horizons that a test can see the end of, and one that stops after two retries.
RULES = (
    replace(MESSAGES, horizon=2000.0),
    replace(SMS_INBOUND, horizon=600.0),
    replace(SMS_RECEIPTS, horizon=1800.0),
    MESSAGES.shortened((0.5, 1.0)),
)
STATUSES = st.sampled_from([200, 200, 200, 204, 301, 400, 401, 404, 429, 500, 503, None, None])
SECONDS = st.sampled_from([0.0, 0.01, 3.0, 15.0])

comings = st.lists(
    st.builds(
        Coming,
        at=st.floats(0, 3000, allow_nan=False),
        account=st.sampled_from([None, "a", "b"]),
        rules=st.sampled_from(RULES),
    ),
    min_size=1,
    max_size=12,
)
policies = st.sampled_from(ProviderPolicy)


@st.composite
def receivers(draw: Any) -> Receiver:
    """Answers as drawn, and in its outages, which are drawn too, no answer or 503 to anybody."""
    answers = draw(st.lists(st.tuples(STATUSES, SECONDS), min_size=1, max_size=20))
    outages = draw(st.lists(st.tuples(st.floats(0, 4000), st.floats(0, 3000)), max_size=3))

    def receive(number: int, attempt: int, now: float) -> tuple[int | None, float]:
        if any(begun <= now < begun + length for begun, length in outages):
            return (None, 0.0) if number % 2 else (503, 0.01)
        return answers[(7 * number + attempt) % len(answers)]

    return receive


def always(*statuses: int | None) -> Receiver:
    """Those statuses in turn, the last one for ever, at once."""
    return lambda _number, attempt, _now: (statuses[min(attempt, len(statuses)) - 1], 0.0)


def one(receiver: Receiver, rules: Rules = MESSAGES) -> Told:
    (told,) = play([Coming(0.0, "a", rules)], receiver, ProviderPolicy.PER_MESSAGE)
    return told


def stage(told: Told) -> Stage:
    assert told.life is not None
    return told.life.stage


@given(comings, receivers(), policies)
def test_every_callback_ends_and_its_end_follows_from_its_answers(
    coming: Sequence[Coming], receiver: Receiver, policy: ProviderPolicy
) -> None:
    for told in play(coming, receiver, policy):
        meanings = [told.coming.rules.meaning(made.status) for made in told.attempts]
        assert all(meaning is Meaning.RETRY for meaning in meanings[:-1])
        last = meanings[-1] if meanings else Meaning.RETRY
        wanted = {Meaning.ACCEPTED: Stage.DELIVERED, Meaning.DROP: Stage.DROPPED, Meaning.RETRY: Stage.EXPIRED}
        assert stage(told) is wanted[last]


@given(comings, receivers(), policies)
def test_no_callback_is_attempted_after_its_horizon(
    coming: Sequence[Coming], receiver: Receiver, policy: ProviderPolicy
) -> None:
    for told in play(coming, receiver, policy):
        for made in told.attempts:
            assert made.began < told.coming.at + told.coming.rules.horizon


@given(comings, receivers(), policies)
def test_attempts_of_one_callback_never_overlap_and_keep_at_least_the_scheduled_distance(
    coming: Sequence[Coming], receiver: Receiver, policy: ProviderPolicy
) -> None:
    for told in play(coming, receiver, policy):
        for number, (earlier, later) in enumerate(pairwise(told.attempts), start=1):
            assert later.began >= earlier.ended + told.coming.rules.delay(number) - 1e-6


@given(comings, receivers())
def test_on_its_own_a_callback_keeps_exactly_to_its_schedule(coming: Sequence[Coming], receiver: Receiver) -> None:
    for told in play(coming, receiver, ProviderPolicy.PER_MESSAGE):
        assert told.attempts[0].began == told.coming.at
        for number, (earlier, later) in enumerate(pairwise(told.attempts), start=1):
            assert later.began == pytest.approx(earlier.ended + told.coming.rules.delay(number))


@given(comings, receivers())
def test_per_message_the_others_make_no_difference(coming: Sequence[Coming], receiver: Receiver) -> None:
    ordered = sorted(coming, key=lambda each: each.at)
    together = play(ordered, receiver, ProviderPolicy.PER_MESSAGE)
    for number, each in enumerate(ordered):
        (alone,) = play([each], lambda _n, a, now, number=number: receiver(number, a, now), ProviderPolicy.PER_MESSAGE)
        assert alone.attempts == together[number].attempts


@given(comings, receivers())
def test_per_account_nothing_overtakes(coming: Sequence[Coming], receiver: Receiver) -> None:
    told = play(coming, receiver, ProviderPolicy.PER_ACCOUNT)
    for account in ("a", "b"):
        mine = [each for each in told if each.coming.account == account]
        flat: list[Made] = [made for each in mine for made in each.attempts]
        assert flat == sorted(flat, key=lambda made: made.began)
        for earlier, later in pairwise(mine):
            assert earlier.life is not None
            assert earlier.life.settled is not None
            if later.attempts:
                assert later.attempts[0].began >= earlier.life.settled
        for earlier, later in pairwise(flat):
            assert later.began >= earlier.ended


@given(comings, receivers())
def test_per_account_one_account_never_waits_for_another(coming: Sequence[Coming], receiver: Receiver) -> None:
    told = play(coming, receiver, ProviderPolicy.PER_ACCOUNT)
    numbers = [number for number, each in enumerate(told) if each.coming.account == "a"]
    alone = play(
        [told[number].coming for number in numbers],
        lambda n, attempt, now: receiver(numbers[n], attempt, now),
        ProviderPolicy.PER_ACCOUNT,
    )
    assert [each.attempts for each in alone] == [told[number].attempts for number in numbers]


def test_a_message_that_nobody_takes_is_tried_103_times_in_24_hours() -> None:
    told = one(always(503))
    assert stage(told) is Stage.EXPIRED
    assert len(told.attempts) == 103
    waits = [later.began - earlier.ended for earlier, later in pairwise(told.attempts)]
    assert waits[:10] == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert told.life is not None
    assert told.life.settled == DAY


@pytest.mark.parametrize(("rules", "hours"), [(SMS_INBOUND, 24), (SMS_RECEIPTS, 72)])
def test_an_sms_callback_is_tried_every_minute_until_its_horizon(rules: Rules, hours: int) -> None:
    assert len(one(always(None), rules).attempts) == hours * 60


@pytest.mark.parametrize(
    ("status", "messages", "sms"),
    [
        (200, Stage.DELIVERED, Stage.DELIVERED),
        (204, Stage.DROPPED, Stage.DELIVERED),
        (301, Stage.DROPPED, Stage.EXPIRED),
        (401, Stage.DROPPED, Stage.EXPIRED),
        (429, Stage.EXPIRED, Stage.EXPIRED),
        (500, Stage.EXPIRED, Stage.EXPIRED),
        (None, Stage.EXPIRED, Stage.EXPIRED),
    ],
)
def test_each_product_has_its_own_reading_of_an_answer(status: int | None, messages: Stage, sms: Stage) -> None:
    assert stage(one(always(status), MESSAGES)) is messages
    assert stage(one(always(status), SMS_INBOUND)) is sms


def test_receipts_have_72_hours_and_everything_else_24() -> None:
    assert {family: RULES_BY_FAMILY[family].horizon for family in Family} == {
        Family.INBOUND_MESSAGE: DAY,
        Family.MESSAGE_STATUS: DAY,
        Family.INBOUND_SMS: DAY,
        Family.DELIVERY_RECEIPT: 3 * DAY,
        Family.OTHER: DAY,
    }


def test_per_account_one_dead_head_holds_up_everything_behind_it_until_it_expires() -> None:
    coming = [Coming(0.0, "a", MESSAGES), Coming(DAY / 2, "a", MESSAGES), Coming(DAY + 1, "a", MESSAGES)]
    poison, second, third = play(
        coming, lambda number, _attempt, _now: (503 if number == 0 else 200, 0.0), ProviderPolicy.PER_ACCOUNT
    )
    assert stage(poison) is Stage.EXPIRED
    assert [made.began for made in second.attempts] == [DAY]
    assert [made.began for made in third.attempts] == [DAY + 1]


def test_what_expires_in_the_middle_of_a_line_is_never_attempted() -> None:
    short = replace(MESSAGES, horizon=100.0)
    coming = [Coming(0.0, "a", MESSAGES), Coming(1.0, "a", short), Coming(2.0, "a", MESSAGES)]
    _, middle, last = play(
        coming,
        lambda number, attempt, _now: (503 if number == 0 and attempt < 9 else 200, 0.0),
        ProviderPolicy.PER_ACCOUNT,
    )
    assert middle.attempts == []
    assert stage(middle) is Stage.EXPIRED
    assert middle.life is not None
    assert middle.life.settled == 101.0
    assert stage(last) is Stage.DELIVERED


def test_the_oldest_is_the_one_that_was_created_first_and_is_not_settled() -> None:
    provider: Provider[str] = Provider()
    provider.create("receipt", rules=SMS_RECEIPTS, account="a", now=1.0)
    provider.create("message", rules=MESSAGES, account="a", now=2.0)
    first = provider.begin(2.0)
    assert first is not None
    assert first.item == "receipt"

    oldest = provider.oldest()
    assert oldest is first
    provider.answer(first, 200, 3.0)
    oldest = provider.oldest()
    assert oldest is not None
    assert oldest.item == "message"
    assert provider.waiting == 1
