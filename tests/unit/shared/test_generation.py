"""Whether Redis still has its data, as one observer sees it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.queue.generation import Generation, Loss


def test_a_fresh_installation_and_a_growing_counter_are_quiet() -> None:
    known = Generation()
    assert [known.observe("a", rounds) for rounds in (0, 0, 1, 5, 5)] == [None] * 5


def test_another_marker_is_a_wiped_redis_and_is_said_once() -> None:
    known = Generation()
    known.observe("a", 100)
    assert [known.observe("b", 1), known.observe("b", 2)] == [Loss("wiped", 0), None]


def test_a_smaller_counter_is_a_redis_that_went_back_and_is_said_once() -> None:
    known = Generation()
    known.observe("a", 100)
    assert [known.observe("a", 90), known.observe("a", 91)] == [Loss("rolled-back", 10), None]


@given(st.lists(st.integers(0, 5), max_size=30))
def test_losses_are_exactly_the_steps_back(rounds: list[int]) -> None:
    known = Generation()
    found = [known.observe("a", number) is not None for number in rounds]
    assert found == [False, *(now < before for before, now in pairwise(rounds))][: len(rounds)]
