"""Power that goes away under load: what was answered 200 is on the disk, in Redis or in the spool.

``TEST_POWER_ROUNDS=500`` loses it as often.
"""

import os
import random

import pytest

from tests.drills.power_loss import play
from tests.drills.powered import Part, without_sync
from tests.support.forgetful_fs import cannot_forget

ROUNDS = int(os.environ.get("TEST_POWER_ROUNDS", "6"))


@pytest.fixture(scope="module", autouse=True)
def _forgetful_disk() -> None:
    if reason := cannot_forget():
        pytest.skip(reason)


@pytest.mark.timeout(120 + 30 * ROUNDS)
def test_a_loss_of_power_at_any_moment_loses_nothing_that_was_answered_200() -> None:
    tally = play(seed=random.randrange(2**31), rounds=ROUNDS, seconds=20 * ROUNDS, report=print)
    print(tally)  # noqa: T201 - the figures that count
    assert tally.rounds
    assert tally.acknowledged
    assert tally.missing == []


@pytest.mark.parametrize("part", ["redis", "ingest"])
@pytest.mark.timeout(300)
def test_the_same_rounds_find_the_loss_when_a_part_does_not_sync(part: Part) -> None:
    try:
        without_sync()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    tally = play(
        seed=random.randrange(2**31),
        rounds=8,
        seconds=150,
        careless=frozenset({part}),
        until_missing=True,
        report=print,
    )
    print(tally)  # noqa: T201 - the figures that count
    assert tally.missing, "with its syncs taken away, events that were answered 200 are gone"
