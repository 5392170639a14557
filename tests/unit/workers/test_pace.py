"""How many jobs of a lane are taken at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ackfirst.workers.engine.pace import (
    BATCH_SECONDS,
    FIRST_JOBS,
    MOST_JOBS,
    QUICKEST_SECONDS,
    REMEMBERED_LANES,
    UNKNOWN_SECONDS,
    Pace,
)


def seconds_of(pace: Pace, lane: str) -> float:
    return pace.known().get(lane, pace.usual())[1]


def room_of(pace: Pace, lane: str) -> int:
    return pace.known().get(lane, pace.usual())[0]


def test_of_an_unknown_lane_a_few_jobs_are_taken() -> None:
    pace = Pace(concurrency=100)
    assert pace.known() == {}
    assert pace.usual() == (FIRST_JOBS, UNKNOWN_SECONDS)
    assert 1 < BATCH_SECONDS / UNKNOWN_SECONDS < 50


def test_one_slow_job_makes_the_lane_slow_at_once_and_quick_ones_make_it_quick_by_and_by() -> None:
    pace = Pace(concurrency=100)
    pace.ran("l", 0.006)
    assert seconds_of(pace, "l") == 0.006
    pace.ran("l", 0.0)
    assert 0.004 < seconds_of(pace, "l") < 0.006
    for _ in range(100):
        pace.ran("l", 0.0)
    assert seconds_of(pace, "l") == pytest.approx(QUICKEST_SECONDS, rel=0.01)


def test_a_slow_job_counts_for_the_time_of_one_thread_however_long_it_takes() -> None:
    pace = Pace(concurrency=100)
    pace.ran("l", 2.0)
    assert seconds_of(pace, "l") == BATCH_SECONDS
    assert pace.batches(["l", "l"]) == 2


def test_a_thread_is_soon_free_when_its_lane_is_quick_and_its_job_is_not_late() -> None:
    pace = Pace(concurrency=100)
    pace.ran("quick", 0.001)
    pace.ran("slow", 1.0)
    assert pace.soon_free([("quick", 0.0)]) == 1
    assert pace.soon_free([("quick", 5.0)]) == 0
    assert pace.soon_free([("slow", 0.0)] * 8) < 1
    assert pace.soon_free([("slow", 0.98)] * 8) == 8, "nearly done"


def test_a_plain_lane_has_no_room_while_no_thread_is_free_and_an_async_one_has() -> None:
    pace = Pace(concurrency=3)
    pace.ran("plain", 0.001)
    pace.waits("async")
    pace.offer(0)
    assert room_of(pace, "plain") == 0
    assert room_of(pace, "async") == 2
    assert room_of(pace, "new") == 1, "its handlers may be async"


def test_a_lane_whose_jobs_wait_for_a_serial_handler_has_no_room() -> None:
    pace = Pace(concurrency=3)
    pace.blocks("l")
    assert room_of(pace, "l") == 0
    assert pace.is_limited
    pace.unblocks("l")
    assert room_of(pace, "l") > 0


def test_an_unknown_lane_is_expected_to_be_as_quick_as_the_others() -> None:
    pace = Pace(concurrency=100)
    for number in range(1_000):
        pace.ran(f"lane-{number}", 0.0)
    assert seconds_of(pace, "new") == pytest.approx(QUICKEST_SECONDS, rel=0.01)
    pace.ran("slow", 2.0)
    assert seconds_of(pace, "new") < 0.05, "one slow lane makes no other lane slow"


def test_only_the_lanes_that_ran_last_are_remembered() -> None:
    pace = Pace(concurrency=100)
    for number in range(10_000):
        pace.ran(f"lane-{number}", 0.0)
    assert len(pace.known()) == REMEMBERED_LANES


def test_a_lane_with_handlers_under_way_is_never_forgotten() -> None:
    pace = Pace(concurrency=1)
    pace.waits("busy")
    pace.ran("busy", 0.0)
    for number in range(1_000):
        pace.ran(f"lane-{number}", 0.0)
    assert room_of(pace, "busy") == 0


def test_a_lane_whose_handlers_wait_has_room_for_as_many_as_may_run_at_once() -> None:
    pace = Pace(concurrency=3)
    assert room_of(pace, "l") == 3, "they may turn out to be async"
    for _ in range(3):
        pace.waits("l")
        pace.ran("l", 0.0)
    assert room_of(pace, "l") == 0
    assert room_of(pace, "other") == 3
    pace.returned("l")
    assert room_of(pace, "l") == 1


def test_a_lane_of_plain_handlers_has_room_for_a_whole_batch() -> None:
    pace = Pace(concurrency=3)
    pace.ran("l", 0.001)
    assert room_of(pace, "l") == MOST_JOBS


@given(st.lists(st.floats(0, 100), min_size=1))
def test_the_estimate_stays_within_what_was_seen(durations: list[float]) -> None:
    pace = Pace(concurrency=1)
    for seconds in durations:
        pace.ran("l", seconds)
    low, high = max(min(durations), QUICKEST_SECONDS), max(*durations, QUICKEST_SECONDS)
    assert min(low * 0.999, BATCH_SECONDS) <= seconds_of(pace, "l") <= min(high * 1.001, BATCH_SECONDS)
