"""Whether Redis still has its data, as one observer sees it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ackfirst.shared.queue.generation import Generation, Loss, new_marker, written_at


def seen(known: Generation, marker: str | None, acknowledged: int) -> Loss | None:
    return known.observe(marker, acknowledged, since=known.position)


def test_a_marker_says_when_it_was_written() -> None:
    assert written_at(new_marker(1_700_000_000.4)) == 1_700_000_000
    assert new_marker(0.0) != new_marker(0.0)
    assert written_at("0123456789abcdef") is None
    assert written_at("12345678") is None


def test_a_fresh_installation_and_a_growing_counter_are_quiet() -> None:
    known = Generation()
    assert [seen(known, "a", counter) for counter in (0, 0, 1, 5, 5)] == [None] * 5


def test_another_marker_is_a_wiped_redis_and_is_reported_once() -> None:
    known = Generation()
    seen(known, "a", 100)
    assert [seen(known, "b", 1), seen(known, "b", 2)] == [Loss("wiped"), None]


def test_a_smaller_counter_is_a_redis_that_went_back_by_so_many_events_and_is_reported_once() -> None:
    known = Generation()
    seen(known, "a", 100)
    assert [seen(known, "a", 90), seen(known, "a", 91)] == [Loss("rolled-back", 10), None]


def test_a_write_that_comes_before_the_next_question_does_not_hide_the_loss() -> None:
    known = Generation()
    seen(known, "a", 100)
    known.confirm(95, since=known.position, added=25)  # it was at 70 when these 25 were added
    assert seen(known, "a", 130) == Loss("rolled-back", 30)


def test_replies_that_overtake_each_other_are_no_loss() -> None:
    known = Generation()
    seen(known, "a", 100)
    first = second = question = known.position
    known.confirm(120, since=second, added=10)
    known.confirm(110, since=first, added=10)
    assert known.observe("a", 100, since=question) is None
    assert known.acknowledged == 120


def test_batches_that_were_under_way_during_the_loss_count_it_once() -> None:
    known = Generation()
    seen(known, "a", 100)
    first = second = known.position
    known.confirm(75, since=first, added=5)
    known.confirm(80, since=second, added=5)
    assert seen(known, "a", 80) == Loss("rolled-back", 30)


def test_writes_into_a_wiped_redis_are_no_second_loss() -> None:
    known = Generation()
    seen(known, "a", 100)
    known.confirm(5, since=known.position, added=5)
    known.confirm(8, since=known.position, added=3)
    assert [seen(known, "b", 8), seen(known, "b", 9)] == [Loss("wiped"), None]


@given(st.lists(st.integers(0, 5), max_size=30))
def test_losses_are_exactly_the_steps_back(counters: list[int]) -> None:
    known = Generation()
    found = [seen(known, "a", number) for number in counters]
    steps = [before - now for before, now in pairwise([0, *counters])]
    assert found == [Loss("rolled-back", step) if step > 0 else None for step in steps]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=40))
def test_a_redis_that_loses_nothing_is_never_accused(steps: list[tuple[bool, int]]) -> None:
    """Commands are executed in order, and their replies come in any order."""
    known, counter, replies = Generation(), 0, []
    for is_reply, added in steps:
        if is_reply and replies:
            known.confirm(*replies[-1][:1], since=replies[-1][1], added=replies.pop()[2])
        else:
            since = known.position
            counter += added
            replies.append((counter, since, added))
    assert seen(known, "a", counter) is None
