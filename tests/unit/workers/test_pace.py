"""How many jobs of a lane are taken at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.workers.engine.pace import BATCH, MOST, QUICKEST, UNKNOWN, Pace


def test_of_an_unknown_lane_a_few_jobs_are_taken() -> None:
    pace = Pace(concurrency=100)
    assert pace.seconds("l") == UNKNOWN
    assert 1 < BATCH / pace.seconds("l") < 50


def test_one_slow_job_makes_the_lane_slow_at_once_and_quick_ones_make_it_quick_by_and_by() -> None:
    pace = Pace(concurrency=100)
    pace.ran("l", 2.0)
    assert pace.seconds("l") == 2.0
    pace.ran("l", 0.0)
    assert 1.0 < pace.seconds("l") < 2.0
    for _ in range(100):
        pace.ran("l", 0.0)
    assert pace.seconds("l") == pytest.approx(QUICKEST, rel=0.01)


def test_a_slow_lane_makes_no_other_lane_slow() -> None:
    pace = Pace(concurrency=100)
    pace.ran("slow", 2.0)
    assert pace.seconds("other") == UNKNOWN


def test_a_lane_whose_handlers_wait_has_room_for_as_many_as_may_run_at_once() -> None:
    pace = Pace(concurrency=3)
    assert pace.room("l") == 3, "they may turn out to be async"
    for _ in range(3):
        pace.waits("l")
        pace.ran("l", 0.0)
    assert pace.room("l") == 0
    assert pace.room("other") == 3
    pace.returned("l")
    assert pace.room("l") == 1


def test_a_lane_of_plain_handlers_has_room_for_a_whole_batch() -> None:
    pace = Pace(concurrency=3)
    pace.ran("l", 0.001)
    assert pace.room("l") == MOST


@given(st.lists(st.floats(0, 100), min_size=1))
def test_the_estimate_stays_within_what_was_seen(durations: list[float]) -> None:
    pace = Pace(concurrency=1)
    for seconds in durations:
        pace.ran("l", seconds)
    low, high = max(min(durations), QUICKEST), max(*durations, QUICKEST)
    assert low * 0.999 <= pace.seconds("l") <= high * 1.001
