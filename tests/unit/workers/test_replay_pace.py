"""How many events a replay may queue: never faster than its rate, never more than its lanes work off."""

from hypothesis import given
from hypothesis import strategies as st

from ackfirst.workers.replay.pace import LEAST_WINDOW, ReplayPace, StuckLanes

STEPS = st.lists(st.tuples(st.floats(0.001, 5.0), st.integers(0, 50), st.integers(0, 500)), min_size=1, max_size=50)


@given(steps=STEPS, rate=st.floats(0.1, 5_000))
def test_a_replay_is_never_faster_than_its_rate(steps: list[tuple[float, int, int]], rate: float) -> None:
    pace, now, moved, passes = ReplayPace(0.0), 0.0, 0, 0
    for seconds, waiting, ended in steps:
        now, passes = now + seconds, passes + ended
        allowed = pace.allow(now, rate=rate, waiting=waiting, passes=passes)
        pace.spend(allowed)
        moved += allowed
        assert moved <= LEAST_WINDOW + rate * now + 1


@given(waiting=st.integers(0, 10_000), rate=st.floats(1, 10_000))
def test_a_lane_that_is_not_worked_off_gets_no_more_than_the_least(waiting: int, rate: float) -> None:
    pace = ReplayPace(0.0)
    for second in range(1, 20):
        allowed = pace.allow(float(second), rate=rate, waiting=waiting, passes=0)
        assert allowed <= max(0, LEAST_WINDOW - waiting)


def test_a_slow_handler_never_has_more_than_a_seconds_work_waiting() -> None:
    pace, waiting, passes = ReplayPace(0.0), 0, 0
    for step in range(1, 500):
        allowed = pace.allow(step / 5, rate=1_000, waiting=waiting, passes=passes)
        pace.spend(allowed)
        waiting += allowed
        done = min(waiting, 10)  # 50 a second
        waiting, passes = waiting - done, passes + done
        assert waiting <= 50
    assert passes > 0.8 * 50 * 100


def test_a_fast_handler_is_given_the_whole_rate_within_seconds() -> None:
    pace, passes = ReplayPace(0.0), 0
    for step in range(1, 51):
        allowed = pace.allow(step / 5, rate=500, waiting=0, passes=passes)
        pace.spend(allowed)
        passes += allowed
    assert passes > 0.6 * 500 * 10


def test_a_clock_that_is_set_back_gives_nothing_and_breaks_nothing() -> None:
    pace = ReplayPace(100.0)
    pace.spend(pace.allow(100.0, rate=10, waiting=0, passes=0))
    assert pace.allow(50.0, rate=10, waiting=0, passes=5) == 0
    assert pace.allow(51.0, rate=10, waiting=0, passes=5) == 10


def test_a_rate_below_one_a_second_moves_one_event_after_a_while() -> None:
    pace = ReplayPace(0.0)
    pace.spend(pace.allow(0.0, rate=0.5, waiting=0, passes=0))
    moved = 0
    for second in range(1, 41):
        allowed = pace.allow(float(second), rate=0.5, waiting=0, passes=0)
        pace.spend(allowed)
        moved += allowed
    assert 18 <= moved <= 21


def test_a_lane_is_stuck_when_its_oldest_event_has_not_moved_for_a_while() -> None:
    now = [0.0]
    lanes = StuckLanes(seconds=10, clock=lambda: now[0])
    assert lanes.look({"one": "a", "two": "x"}) == set()
    now[0] = 8.0
    assert lanes.look({"one": "a", "two": "y"}) == set()
    now[0] = 11.0
    assert lanes.look({"one": "a", "two": "y"}) == {"one"}
    assert lanes.look({"two": "y"}) == set()
    now[0] = 19.0
    assert lanes.look({"one": "a", "two": "y"}) == {"two"}
