"""Waits between attempts, marks, and the fields by which RQ retries."""

from datetime import UTC, datetime

import pytest
import redis
import structlog
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from rq.utils import utcformat

from ackfirst import RetryLater
from ackfirst.shared.queue.job import rq_time
from ackfirst.workers.processing.marks import Mark, State, decode
from ackfirst.workers.processing.retry import JITTER, Schedule, fail_permanently, schedule_retry, whole_seconds
from ackfirst.workers.unavailable import retry_while_unavailable

WAITS = (5, 30, 120, 600, 3600, 21_600)


@given(attempts=st.integers(1, 50), chance=st.floats(0, 1))
def test_a_wait_is_that_of_the_schedule_give_or_take_a_fifth(attempts: int, chance: float) -> None:
    wait = Schedule(WAITS, random=lambda: chance).wait(attempts)
    base = WAITS[min(attempts, len(WAITS)) - 1]
    assert base * (1 - JITTER) - 1e-6 <= wait <= base * (1 + JITTER) + 1e-6


@given(st.floats(-1e6, 1e6))
def test_whole_seconds_are_never_earlier_and_at_most_a_second_later(wait: float) -> None:
    assert max(0.0, wait) <= whole_seconds(wait) <= max(0.0, wait) + 1


@given(st.sampled_from(State), st.integers(0, 1000), st.floats(0, 4e9))
def test_a_mark_survives_its_encoding(state: State, attempts: int, at: float) -> None:
    mark = Mark(state, attempts, at)
    assert decode(mark.encode()) == mark


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b"null", b'{"s":"odd","n":1}', b'{"s":"done"}', b"\xff"])
def test_what_is_no_mark_is_none(text: bytes) -> None:
    assert decode(text) is None


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e9])
def test_retry_later_refuses_a_time_that_never_comes(seconds: float) -> None:
    with pytest.raises(ValueError, match="RetryLater wants"):
        RetryLater(seconds)


@pytest.mark.parametrize("left", [None, 0, 1, 6])
@pytest.mark.parametrize("wait", [0, 7])
def test_rq_follows_our_retry_and_keeps_its_own_retries(left: int | None, wait: int) -> None:
    job = Queue("q", connection=Redis(), serializer=JSONSerializer).create_job("os.getcwd")
    job.retries_left, job.retry_intervals = left, [5, 30, 120]
    schedule_retry(job, wait)
    assert job.should_retry
    assert job.get_retry_interval() == wait
    assert job.retries_left == max(left or 0, 1) + 1, "RQ takes one off"
    fail_permanently(job)
    assert not job.should_retry


def test_pauses_between_repetitions_grow_up_to_a_limit() -> None:
    pauses: list[float] = []
    failures = iter([redis.ConnectionError(), redis.TimeoutError(), *[redis.exceptions.ReadOnlyError()] * 6, None])

    def action() -> str:
        if (error := next(failures)) is not None:
            raise error
        return "answer"

    with structlog.testing.capture_logs() as lines:
        assert retry_while_unavailable(structlog.get_logger(), sleep=pauses.append)(action) == "answer"
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2])
    told = [(line["event"], line["waited_seconds"]) for line in lines]
    away, back = "redis.unavailable", "redis.available"
    assert told == [(away, 0.0), (away, 3.1), (away, 7.1), (back, 9.1)]


def test_a_long_outage_is_logged_once_a_minute() -> None:
    failures = iter([*[redis.ConnectionError()] * 2_000, None])

    def action() -> None:
        if (error := next(failures)) is not None:
            raise error

    with structlog.testing.capture_logs() as lines:
        retry_while_unavailable(structlog.get_logger(), sleep=lambda _: None)(action)
    assert 4000 / 60 <= len(lines) <= 4000 / 60 + 8


def test_errors_other_than_outages_are_raised_at_once() -> None:
    def wrong() -> None:
        raise redis.ResponseError("WRONGTYPE")

    with pytest.raises(redis.ResponseError):
        retry_while_unavailable(structlog.get_logger(), sleep=lambda _: None)(wrong)


def test_the_time_of_a_promotion_is_written_as_rq_writes_times() -> None:
    assert rq_time(1_772_615_728.25) == utcformat(datetime.fromtimestamp(1_772_615_728.25, UTC))
