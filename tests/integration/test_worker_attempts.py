"""Outcomes of an event whose handlers succeed, fail, discard or ask to be called later."""

import asyncio
import time
from typing import Any

import pytest
import redis
from rq.job import Job
from rq.serializers import JSONSerializer

from ackfirst import Context, Discard, Event, RetryLater, on
from ackfirst.shared.queue import keys
from ackfirst.workers.processing.marks import LINGER_SECONDS, Mark, RedisMarks, State
from tests.support.factories import make_envelope
from tests.support.jobs import burst, enqueue, lane_is_empty, status


class Calls(list[Any]):
    """What the handlers of a test were called with."""


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_a_handler_sees_the_event_and_the_job_finishes(redis_sync: redis.Redis, redis_url: str, calls: Calls) -> None:
    @on("inbound-message", channel="sms")
    def reply(event: Event, context: Context) -> None:
        calls.append((event.text, event.id, context.attempt, context.retries_left, context.idempotency_key))

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    assert burst(redis_url, reply) == 1
    [(text, event_id, attempt, left, key)] = calls
    assert (text, event_id, attempt, left) == ("Moor at berth 7?", envelope.id, 1, 2)
    assert key == f"{envelope.id}:{reply.__module__}.{reply.__qualname__}"
    assert status(redis_sync, envelope.id) == "finished"
    assert lane_is_empty(redis_sync, envelope.lane)


def test_an_async_handler_runs_on_a_loop_that_outlives_it(
    redis_sync: redis.Redis, redis_url: str, calls: Calls
) -> None:
    @on()
    async def reply(event: Event) -> None:
        await asyncio.sleep(0)
        calls.append(asyncio.get_running_loop())

    enqueue(redis_sync, make_envelope(), make_envelope())
    burst(redis_url, reply)
    assert len(calls) == 2
    assert calls[0] is calls[1]


def test_a_failed_handler_is_called_again_until_it_succeeds(
    redis_sync: redis.Redis, redis_url: str, calls: Calls
) -> None:
    @on()
    def flaky(event: Event, context: Context) -> None:
        calls.append(context.attempt)
        if context.attempt < 3:
            raise OSError("not yet")

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    burst(redis_url, flaky)
    assert calls == [1, 2, 3]
    assert status(redis_sync, envelope.id) == "finished"
    assert not redis_sync.exists(keys.marks(envelope.id))


def test_a_retry_runs_only_the_handlers_that_are_not_finished(
    redis_sync: redis.Redis, redis_url: str, calls: Calls
) -> None:
    @on()
    def steady(event: Event) -> None:
        calls.append("steady")

    @on()
    def flaky(event: Event, context: Context) -> None:
        calls.append(f"flaky {context.attempt}")
        if context.attempt == 1:
            raise ValueError

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    burst(redis_url, steady, flaky)
    assert calls == ["steady", "flaky 1", "flaky 2"]
    assert status(redis_sync, envelope.id) == "finished"


def test_a_handler_over_its_retries_makes_a_dead_letter_with_its_traceback(
    redis_sync: redis.Redis, redis_url: str, calls: Calls
) -> None:
    @on(retries=1)
    def broken(event: Event) -> None:
        calls.append("broken")
        raise KeyError("the missing key")

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    burst(redis_url, broken)
    assert calls == ["broken", "broken"]
    assert status(redis_sync, envelope.id) == "failed"
    assert redis_sync.zscore(keys.failed(envelope.lane), envelope.id) is not None
    job = Job.fetch(envelope.id, connection=redis_sync, serializer=JSONSerializer)
    result = job.latest_result()
    assert result is not None
    assert "the missing key" in str(result.exc_string)
    assert "in broken" in str(result.exc_string), "the handler's own frame is in the traceback"
    assert lane_is_empty(redis_sync, envelope.lane)


def test_a_requeued_dead_letter_runs_only_what_was_dead_with_a_fresh_budget(
    redis_sync: redis.Redis, redis_url: str, calls: Calls
) -> None:
    @on()
    def steady(event: Event) -> None:
        calls.append("steady")

    @on()
    def gone(event: Event) -> None:
        calls.append("gone")
        raise Discard("not mine")

    @on(retries=1)
    def broken(event: Event, context: Context) -> None:
        calls.append(f"broken {context.attempt}")
        if len(calls) < 7:
            raise OSError("still down")

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    burst(redis_url, steady, gone, broken)
    assert calls == ["steady", "gone", "broken 1", "broken 2"]
    Job.fetch(envelope.id, connection=redis_sync, serializer=JSONSerializer).requeue()
    burst(redis_url, steady, gone, broken)
    assert calls[4:] == ["broken 1", "broken 2"]
    Job.fetch(envelope.id, connection=redis_sync, serializer=JSONSerializer).requeue()
    burst(redis_url, steady, gone, broken)
    assert calls[6:] == ["broken 1"]
    assert status(redis_sync, envelope.id) == "finished"


def test_one_handlers_death_waits_for_the_others_retries(redis_sync: redis.Redis, redis_url: str, calls: Calls) -> None:
    @on(retries=0)
    def broken(event: Event) -> None:
        calls.append("broken")
        raise OSError

    @on()
    def flaky(event: Event, context: Context) -> None:
        calls.append(f"flaky {context.attempt}")
        if context.attempt < 3:
            raise OSError

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    burst(redis_url, broken, flaky)
    assert calls == ["broken", "flaky 1", "flaky 2", "flaky 3"]
    assert status(redis_sync, envelope.id) == "failed"


def test_a_discarded_event_is_finished_without_retry(redis_sync: redis.Redis, redis_url: str, calls: Calls) -> None:
    @on()
    def no_thanks(event: Event) -> None:
        calls.append("called")
        raise Discard("test number")

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    burst(redis_url, no_thanks)
    assert calls == ["called"]
    assert status(redis_sync, envelope.id) == "finished"
    assert redis_sync.hget(keys.OUTCOMES, "discarded") == b"1"


def test_retry_later_waits_as_long_as_the_handler_says(redis_sync: redis.Redis, redis_url: str, calls: Calls) -> None:
    @on()
    def later(event: Event) -> None:
        calls.append("called")
        raise RetryLater(3600)

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    burst(redis_url, later)
    [(job_id, due)] = redis_sync.zrange(keys.scheduled(envelope.lane), 0, -1, withscores=True)
    assert job_id.decode() == envelope.id
    assert 3590 < due - float(redis_sync.time()[0]) < 3605
    assert redis_sync.ttl(keys.marks(envelope.id)) > 3600
    assert status(redis_sync, envelope.id) == "scheduled"
    assert calls == ["called"]


def test_an_event_that_nobody_wants_is_finished(redis_sync: redis.Redis, redis_url: str, calls: Calls) -> None:
    @on("message-status")
    def other(event: Event) -> None:
        calls.append("called")

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    assert burst(redis_url, other) == 1
    assert not calls
    assert status(redis_sync, envelope.id) == "finished"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_handler_that_ends_the_process_fails_alone(
    redis_sync: redis.Redis, redis_url: str, error: BaseException, is_async: bool
) -> None:
    def leave(event: Event) -> None:
        raise error

    async def leave_async(event: Event) -> None:
        raise error

    first, second = make_envelope(), make_envelope()
    enqueue(redis_sync, first, second)
    assert burst(redis_url, on(retries=0)(leave_async if is_async else leave)) == 2
    assert status(redis_sync, first.id) == status(redis_sync, second.id) == "failed"


def test_outcomes_and_handler_times_are_counted(redis_sync: redis.Redis, redis_url: str) -> None:
    @on(retries=1)
    def flaky(event: Event, context: Context) -> None:
        if context.attempt == 1:
            raise OSError

    enqueue(redis_sync, make_envelope(), make_envelope())
    burst(redis_url, flaky)
    assert redis_sync.hgetall(keys.OUTCOMES) == {b"retried": b"2", b"processed": b"2"}
    name = f"{flaky.__module__}.{flaky.__qualname__}"
    assert redis_sync.hget(keys.HANDLER_TIMES, f"{name}:runs") == b"4"
    assert float(redis_sync.hget(keys.HANDLER_TIMES, f"{name}:seconds") or -1) >= 0


def test_the_marks_of_a_finished_event_go_soon_also_where_another_worker_finishes_its_job(
    redis_sync: redis.Redis,
) -> None:
    marks = RedisMarks(redis_sync, "m-1", keep=3600, now=time.time)
    marks.write({"my.handler": Mark(State.DONE, 1)})
    marks.settle(dead=None)
    assert 0 < redis_sync.ttl(keys.marks("m-1")) <= LINGER_SECONDS
