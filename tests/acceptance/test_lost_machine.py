"""The machine of Redis's master is gone, its disk included, and a replica takes over."""

import random

import pytest

from tests.drills.lost_machine import Guard, play


@pytest.mark.timeout(240)
def test_what_was_answered_200_survives_the_loss_of_the_master_when_a_replica_must_have_it() -> None:
    outcome = play(Guard.WAIT, seed=random.randrange(2**31))
    print(outcome)  # noqa: T201 - the figures that count
    assert outcome.acknowledged
    assert outcome.missing == 0
    assert set(outcome.answers) == {"200"}


@pytest.mark.timeout(480)
@pytest.mark.parametrize("guard", [Guard.NONE, Guard.MIN_REPLICAS])
def test_the_same_drill_finds_the_loss_of_events_that_no_replica_had_to_have(guard: Guard) -> None:
    outcomes = [play(guard, seed=random.randrange(2**31))]
    if not outcomes[0].missing:  # nothing was on its way at that moment
        outcomes.append(play(guard, seed=random.randrange(2**31)))
    print(*outcomes, sep="\n")  # noqa: T201 - the figures that count
    assert max(outcome.missing for outcome in outcomes) > 0
