"""What the models say depends on the seed alone, and is what the pages say."""

import pytest
from click.testing import CliRunner

from bench.models import overload, shards
from bench.models.__main__ import main
from tests.support.processes import ROOT


def test_the_same_seed_plays_the_same_day() -> None:
    first, second = (shards.simulate("accounts, by hash", 12, seed=3) for _ in range(2))
    assert first == second
    assert first != shards.simulate("accounts, by hash", 12, seed=4)


@pytest.mark.parametrize("placement", shards.PLACEMENTS)
def test_every_unit_belongs_to_one_stack(placement: str) -> None:
    place, is_split = shards.PLACEMENTS[placement]
    units = [shards.Unit(float(n), is_hot=n < (6 if is_split else 1)) for n in range(1, 200)]
    placed = place(units, 12)
    assert len(placed) == len(units)
    assert set(placed) <= set(range(12))


def test_an_account_that_is_larger_than_a_stack_is_late_however_many_stacks_there_are() -> None:
    late = [shards.simulate("accounts, by size", stacks, seed=1) for stacks in (12, 40)]
    assert all(one.busiest > 1.5 for one in late)
    assert all(one.others_wait == 0 for one in late), "the others do not wait for it"
    split = shards.simulate("the hot one by application, all by size", 12, seed=1)
    assert split.busiest < 0.9


def test_todays_load_needs_one_stack() -> None:
    assert shards.simulate("accounts, by size", 1, seed=1, times=1).longest_wait == 0


def test_the_page_has_the_table_of_the_model() -> None:
    printed = CliRunner().invoke(main, ["shards"]).output
    assert printed.strip() in (ROOT / "docs" / "scaling.md").read_text(), "python -m bench.models shards"


def test_what_ingest_does_beats_what_it_did() -> None:
    load = overload.Load(rate=100, strangers=4000, seconds=12, cpu=overload.burst(0.4, 2, 10))
    before, *_, now = [overload.simulate(policy, load, seed=1) for policy in overload.POLICIES]
    assert before.first_try < 0.8
    assert now.first_try > 0.99
    assert now.requests < before.requests
    assert now == overload.simulate(overload.POLICIES[-1], load, seed=1)


def test_an_ingest_with_a_core_of_its_own_answers_all_at_the_first_try() -> None:
    for policy in overload.POLICIES:
        found = overload.simulate(policy, overload.Load(rate=300, seconds=5), seed=2)
        assert found.first_try == 1.0
        assert found.requests == 1.0
