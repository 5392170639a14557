"""The rate cap."""

from hypothesis import given
from hypothesis import strategies as st

from ackfirst.ingest.quarantine import TokenBucket


def test_a_burst_of_one_second_passes_at_once_and_no_more() -> None:
    bucket = TokenBucket(50)
    assert [bucket.take(100.0) for _ in range(60)] == [True] * 50 + [False] * 10


def test_it_fills_up_again_with_time() -> None:
    bucket = TokenBucket(2)
    assert [bucket.take(0.0), bucket.take(0.0), bucket.take(0.0)] == [True, True, False]
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]


def test_a_rate_below_one_still_lets_one_through() -> None:
    bucket = TokenBucket(0.1)
    assert [bucket.take(0.0), bucket.take(5.0), bucket.take(10.0)] == [True, False, True]


@given(st.lists(st.floats(0, 2), min_size=1, max_size=300), st.floats(0.1, 100))
def test_it_never_passes_more_than_its_rate_and_one_burst(pauses: list[float], rate: float) -> None:
    bucket, now, passed = TokenBucket(rate), 0.0, 0
    for pause in pauses:
        now += pause
        passed += bucket.take(now)
    assert passed <= rate * now + max(rate, 1.0) + 1e-6


def test_a_clock_that_jumps_back_gives_nothing_away() -> None:
    bucket = TokenBucket(1)
    assert bucket.take(100.0)
    assert not bucket.take(50.0)
    assert not bucket.take(50.5)
    assert bucket.take(51.0), "nor does it take anything away"
