"""Limits: handlers that do not end, and jobs that ackfirst did not write."""

import asyncio
import sys
import time
from typing import Any

import pytest
import redis
from rq import Queue, Retry
from rq.job import Callback, Job
from rq.serializers import JSONSerializer

from ackfirst import Event, on
from ackfirst.shared.queue import keys
from tests.support.factories import make_envelope
from tests.support.jobs import JobOptions, burst, enqueue, lane_is_empty, status

LANE = "strangers"


def _failure(client: redis.Redis, job_id: str) -> str:
    result = Job.fetch(job_id, connection=client, serializer=JSONSerializer).latest_result()
    assert result is not None
    return str(result.exc_string)


@pytest.fixture
def strangers(redis_sync: redis.Redis) -> Queue:
    redis_sync.sadd(keys.LANES, LANE)
    return Queue(keys.queue_name(LANE), connection=redis_sync, serializer=JSONSerializer)


def _sleep(seconds: float) -> None:
    """Sleep in Python: a timeout is raised between two instructions, and not in a call into C that waits."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


def _sleep_and_catch_exceptions(event: Event) -> None:
    try:
        _sleep(30)
    except Exception:  # noqa: BLE001 - what this test is about
        _sleep(30)


def _sleep_and_catch_everything(event: Event) -> None:
    while True:
        try:
            _sleep(30)
        except:  # noqa: E722 - what this test is about
            if event.payload.setdefault("caught", 0) == 1:
                raise
            event.payload["caught"] += 1


def _busy(event: Event) -> None:
    while True:
        pass


async def _sleep_async(event: Event) -> None:
    await asyncio.sleep(30)


async def _block_the_loop(event: Event) -> None:
    _sleep(30)


@pytest.mark.parametrize(
    "function", [_sleep_and_catch_exceptions, _sleep_and_catch_everything, _busy, _sleep_async, _block_the_loop]
)
def test_a_handler_that_does_not_end_is_ended(redis_sync: redis.Redis, redis_url: str, function: Any) -> None:
    hung, next_one = make_envelope(), make_envelope()
    enqueue(redis_sync, hung, next_one)
    began = time.monotonic()
    burst(redis_url, on(timeout=0.2, retries=0)(function))
    assert time.monotonic() - began < 12
    assert status(redis_sync, hung.id) == status(redis_sync, next_one.id) == "failed"
    assert "HandlerTimeout" in _failure(redis_sync, hung.id)


def test_a_timeout_error_of_the_handlers_own_is_not_called_ours(redis_sync: redis.Redis, redis_url: str) -> None:
    @on(retries=0)
    async def impatient(event: Event) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(5)

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    burst(redis_url, impatient)
    assert "HandlerTimeout" not in _failure(redis_sync, envelope.id)


def test_what_does_not_fit_into_the_time_of_the_job_waits_for_its_next_run(
    redis_sync: redis.Redis, redis_url: str
) -> None:
    calls: list[str] = []

    @on(timeout=0.9)
    def first(event: Event) -> None:
        calls.append("first")
        time.sleep(0.2)

    @on(timeout=0.9)
    def second(event: Event) -> None:
        calls.append("second")

    envelope = make_envelope()
    enqueue(redis_sync, envelope, options=JobOptions(timeout=1, result_ttl=60, failure_ttl=60, retry_intervals=(1,)))
    logged: list[Any] = []
    assert burst(redis_url, first, second, logged=logged) == 2, "one job, run twice"
    assert calls == ["first", "second"]
    assert status(redis_sync, envelope.id) == "finished"
    outcomes = [line["outcome"] for line in logged if line["event"] == "event.processed"]
    assert outcomes == ["retried", "processed"]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [("os.getcwd", []), ("this", []), ("ackfirst.workers.jobs.process", []), ("ackfirst.workers.jobs.process", [7])],
)
def test_a_job_of_another_shape_fails_and_its_function_is_not_imported(
    redis_sync: redis.Redis, redis_url: str, strangers: Queue, function: str, arguments: list[Any]
) -> None:
    callback = Callback("antigravity.fly")
    job = strangers.enqueue_call(function, args=arguments, on_failure=callback, retry=Retry(max=3))
    assert burst(redis_url) == 1, "and it is not retried"
    assert status(redis_sync, job.id) == "failed"
    assert "ForeignJob" in _failure(redis_sync, job.id)
    assert not {"this", "antigravity"} & sys.modules.keys()
    assert lane_is_empty(redis_sync, LANE)


def test_a_text_that_is_no_envelope_becomes_a_dead_letter_at_once(
    redis_sync: redis.Redis, redis_url: str, strangers: Queue
) -> None:
    job = strangers.enqueue_call("ackfirst.workers.jobs.process", args=['{"v": 99}'], retry=Retry(3))
    assert burst(redis_url) == 1
    assert "envelope version 99" in _failure(redis_sync, job.id)


def test_entries_that_are_no_jobs_are_struck_off_and_the_worker_goes_on(
    redis_sync: redis.Redis, redis_url: str
) -> None:
    envelope = make_envelope(lane=LANE)
    redis_sync.rpush(keys.queue(LANE), "no-such-job", "bad.id:7", "\xff")
    redis_sync.hset(keys.job("broken"), mapping={"data": b"[]", "created_at": "yesterday"})
    redis_sync.rpush(keys.queue(LANE), "broken")
    enqueue(redis_sync, envelope)
    assert burst(redis_url) == 1
    assert status(redis_sync, envelope.id) == "finished"
    assert lane_is_empty(redis_sync, LANE)


def test_the_log_line_of_an_event_names_no_person(redis_sync: redis.Redis, redis_url: str) -> None:
    @on()
    def reply(event: Event) -> None:
        pass

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    logged: list[Any] = []
    burst(redis_url, reply, logged=logged)
    [line] = [line for line in logged if line["event"] == "event.processed"]
    assert line["event_id"] == envelope.id
    assert line["outcome"] == "processed"
    assert line["lane"] == envelope.lane
    assert set(line["handlers"].values()) == {"done"}
    assert not any(text in repr(logged) for text in ("447700900417", "Moor at berth"))
