"""Handlers, and an outage or a command, that leave a worker in disorder: it goes on with the next event."""

import asyncio
from pathlib import Path

import pytest
import redis
from redis.client import Pipeline
from redis.exceptions import ConnectionError  # noqa: A004 - redis-py's name for it
from rq.command import send_shutdown_command
from rq.job import Job
from rq.serializers import JSONSerializer

from ackfirst import Context, RetryLater, on
from ackfirst.shared.nexmo.event import Event
from ackfirst.shared.queue import keys
from ackfirst.workers.engine.rq_worker import LONGEST_TRACEBACK
from tests.support.factories import make_envelope
from tests.support.handlers import write_handlers
from tests.support.jobs import burst, enqueue, lane_is_empty, status
from tests.support.processes import Cli
from tests.support.waiting import wait_until


def _traceback(client: redis.Redis, job_id: str) -> str:
    result = Job.fetch(job_id, connection=client, serializer=JSONSerializer).latest_result()
    assert result is not None
    return str(result.exc_string)


def test_an_error_with_half_an_emoji_makes_a_dead_letter(redis_sync: redis.Redis, redis_url: str) -> None:
    @on()
    def broken(event: Event) -> None:
        raise ValueError("half \ud83d")

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    burst(redis_url, broken)
    assert status(redis_sync, envelope.id) == "failed"
    assert r"half \ud83d" in _traceback(redis_sync, envelope.id)


def test_a_very_long_traceback_is_stored_without_its_middle(redis_sync: redis.Redis, redis_url: str) -> None:
    @on(retries=0)
    def broken(event: Event) -> None:
        raise ValueError("start" + "x" * 1_000_000 + "end")

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    burst(redis_url, broken)
    stored = _traceback(redis_sync, envelope.id)
    assert len(stored) < LONGEST_TRACEBACK + 100
    assert "in broken" in stored
    assert "HandlersFailed" in stored


class _UnspeakableError(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class _Lazy:
    """Like a lazy object or a context's proxy: to ask for its class runs code, which may fail."""

    @property
    def __class__(self) -> type:
        raise RuntimeError("outside of the context")

    @__class__.setter
    def __class__(self, _: type) -> None: ...


@pytest.mark.parametrize("more", [{}, {"threads": "1"}], ids=["threads", "one-thread"])
def test_objects_of_a_handler_that_raise_when_they_are_looked_at_hold_neither_the_event_nor_a_thread(
    redis_sync: redis.Redis, redis_url: str, more: dict[str, str]
) -> None:
    @on(retries=0, application="raises")
    def raises_it(event: Event) -> None:
        raise _UnspeakableError

    @on(retries=0, application="returns")
    def returns_it(event: Event) -> object:
        return _Lazy()

    envelopes = [make_envelope(application_id=name) for name in ("raises", "returns") for _ in range(3)]
    enqueue(redis_sync, *envelopes)
    assert burst(redis_url, raises_it, returns_it, **more) == len(envelopes)
    assert {status(redis_sync, one.id) for one in envelopes} == {"failed"}


def test_a_wait_of_ages_is_an_error_like_another(redis_sync: redis.Redis, redis_url: str) -> None:
    @on(retries=1)
    def later(event: Event) -> None:
        raise RetryLater(1e12)

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    burst(redis_url, later)
    assert status(redis_sync, envelope.id) == "failed"
    assert "RetryLater wants" in _traceback(redis_sync, envelope.id)


def test_a_task_that_refuses_to_end_does_not_hold_up_the_worker(redis_sync: redis.Redis, redis_url: str) -> None:
    left: list[asyncio.Task[None]] = []

    async def forever() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    @on()
    async def leaves_it(event: Event) -> None:
        left.append(asyncio.create_task(forever()))
        left[0]._log_destroy_pending = False  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    assert burst(redis_url, leaves_it) == 1
    assert status(redis_sync, envelope.id) == "finished"


def test_whatever_can_be_awaited_is(redis_sync: redis.Redis, redis_url: str) -> None:
    ended: list[str] = []

    class Later:
        def __await__(self) -> object:
            yield from asyncio.sleep(0).__await__()
            ended.append("awaited")

    @on()
    def returns_it(event: Event) -> Later:
        return Later()

    enqueue(redis_sync, make_envelope())
    burst(redis_url, returns_it)
    assert ended == ["awaited"]


def test_a_command_that_is_none_does_not_make_a_worker_deaf_to_the_next(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(tmp_path, "@on()\ndef run(event):\n    pass\n")
    env = {"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_HANDLERS": "my_handlers"}
    with Cli("worker", "--role", "engine", cwd=tmp_path, env=env) as engine:
        wait_until(lambda: _is_idle(redis_sync))
        [name] = [key.decode().removeprefix("rq:worker:") for key in redis_sync.smembers("rq:workers")]
        wait_until(lambda: redis_sync.publish(f"rq:pubsub:{name}", "not JSON") == 1)
        engine.wait_for_output("command.unreadable")
        send_shutdown_command(redis_sync, name)
        assert engine.wait(timeout=15) == 0


def _is_idle(client: redis.Redis) -> bool:
    return [client.hget(name, "state") for name in client.smembers("rq:workers")] == [b"idle"]


@pytest.mark.parametrize("retries", [0, 1])
def test_the_end_of_a_failed_job_is_written_although_redis_goes_away_in_the_middle_of_it(
    redis_sync: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch, retries: int
) -> None:
    attempts: list[int] = []
    envelope = make_envelope()
    outages = iter(["the first write"])

    def execute(pipeline: Pipeline, *args: bool, **options: bool) -> list[object]:
        written = [str(command[0][:2]) for command in pipeline.command_stack]
        ends_it = any(keys.failed(envelope.lane) in one or ("RPUSH" in one and "queue" in one) for one in written)
        if ends_it and next(outages, None):
            pipeline.reset()
            raise ConnectionError("gone")
        return original(pipeline, *args, **options)

    @on(retries=retries)
    def broken(event: Event, context: Context) -> None:
        attempts.append(context.attempt)
        raise OSError

    enqueue(redis_sync, envelope)
    original = Pipeline.execute
    monkeypatch.setattr(Pipeline, "execute", execute)
    burst(redis_url, broken)
    assert next(outages, None) is None, "it did go away"
    assert attempts == list(range(1, retries + 2))
    assert status(redis_sync, envelope.id) == "failed"
    assert lane_is_empty(redis_sync, envelope.lane)
