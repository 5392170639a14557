"""How one engine serves many lanes, and how others see it."""

import signal
import threading
from collections.abc import Callable, Iterator

import pytest
import redis
import structlog
from rq import Worker
from rq.serializers import JSONSerializer

from ackfirst import Event, on
from ackfirst.shared.queue import keys
from ackfirst.workers.engine.lanes import Lanes
from ackfirst.workers.engine.loop import EngineOptions, EventWorker
from ackfirst.workers.engine.pace import MOST_JOBS, Pace
from ackfirst.workers.handlers.invoke import ThreadInvoker
from ackfirst.workers.handlers.registry import Registry
from ackfirst.workers.recovery.redis_clock import RedisClock
from ackfirst.workers.recovery.rejects import Rejects
from ackfirst.workers.runtime import build_processor
from ackfirst.workers.unavailable import retry_while_unavailable, try_once
from tests.support.factories import make_envelope
from tests.support.jobs import burst, enqueue, lane_is_empty, settings_for, status
from tests.support.waiting import wait_until


def test_a_full_lane_delays_another_lane_by_one_job(redis_sync: redis.Redis, redis_url: str) -> None:
    order: list[str | None] = []

    @on()
    def note(event: Event) -> None:
        order.append(event.application_id)

    enqueue(redis_sync, *[make_envelope(lane="full", application_id="full") for _ in range(30)])
    enqueue(redis_sync, *[make_envelope(lane=f"small-{n}", application_id=f"small-{n}") for n in range(3)])
    assert burst(redis_url, note, threads="1") == 33
    assert {"small-0", "small-1", "small-2"} <= set(order[:4])


def test_a_pinned_worker_leaves_other_lanes_alone(redis_sync: redis.Redis, redis_url: str) -> None:
    mine, other = make_envelope(lane="mine"), make_envelope(lane="other")
    enqueue(redis_sync, mine, other)
    assert burst(redis_url, lanes=("mine",)) == 1
    assert status(redis_sync, mine.id) == "finished"
    assert status(redis_sync, other.id) == "queued"


def test_jobs_of_one_lane_run_in_order(redis_sync: redis.Redis, redis_url: str) -> None:
    order: list[str] = []

    @on()
    def note(event: Event) -> None:
        order.append(event.id)

    envelopes = [make_envelope() for _ in range(10)]
    enqueue(redis_sync, *envelopes)
    burst(redis_url, note, threads="1")
    assert order == [envelope.id for envelope in envelopes]


def test_a_script_that_the_server_forgot_is_loaded_again(redis_sync: redis.Redis) -> None:
    lanes = Lanes(redis_sync, engine="e", seed="s", pinned=("a",))
    pace = Pace(concurrency=100)
    assert not lanes.take(pace, have=0, most=9).jobs
    redis_sync.script_flush()
    enqueue(redis_sync, make_envelope(lane="a"))
    assert lanes.take(pace, have=0, most=9).jobs


Start = Callable[[], EventWorker]

#: Seconds that an idle engine waits for the bell here: long, so that a test tells the bell from the end of the wait.
IDLE = 30


@pytest.fixture
def start(redis_sync: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts an engine in a thread, with a handler that does nothing; it is stopped at the end of the test."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # only the main thread may
    started: list[tuple[EventWorker, threading.Thread]] = []

    def start() -> EventWorker:
        settings = settings_for(redis_url)
        worker = EventWorker(
            redis_sync,
            build_processor(settings, Registry(), redis_sync, retry=try_once),
            ThreadInvoker(2),
            lanes=Lanes(redis_sync, engine="e", seed="s"),
            rejects=Rejects(redis_sync, keep=60),
            redis_clock=RedisClock(redis_sync),
            retry=retry_while_unavailable(structlog.get_logger()),
            options=EngineOptions(threads=2, concurrency=100, stop_grace=30, idle_seconds=IDLE),
        )
        thread = threading.Thread(target=worker.run)
        thread.start()
        started.append((worker, thread))
        return worker

    yield start
    for worker, thread in started:
        worker.request_stop(15, None)
        redis_sync.rpush(keys.BELL, "1")
        thread.join(timeout=10)
        assert not thread.is_alive()


def _is_waiting(client: redis.Redis, worker: EventWorker) -> bool:
    """Nothing is left to do, and the old tokens of the bell are used up."""
    return client.hget(worker.key, "state") == b"idle" and not client.llen(keys.BELL)


def test_an_idle_worker_hears_the_bell(redis_sync: redis.Redis, start: Start) -> None:
    first, second = make_envelope(), make_envelope()
    enqueue(redis_sync, first)
    worker = start()
    wait_until(lambda: status(redis_sync, first.id) == "finished" and _is_waiting(redis_sync, worker))
    enqueue(redis_sync, second)
    wait_until(lambda: status(redis_sync, second.id) == "finished", timeout=IDLE / 2)


def test_a_lane_that_appears_is_served_at_once_and_shown(redis_sync: redis.Redis, start: Start) -> None:
    worker = start()
    wait_until(lambda: _is_waiting(redis_sync, worker))
    envelope = make_envelope(lane="new")
    enqueue(redis_sync, envelope)
    wait_until(lambda: status(redis_sync, envelope.id) == "finished", timeout=IDLE / 2)

    def shown() -> list[str]:
        redis_sync.rpush(keys.BELL, "1")
        [seen] = Worker.all(connection=redis_sync, serializer=JSONSerializer)
        assert seen.name == worker.name
        return list(seen.queue_names())

    wait_until(lambda: shown() == ["ackfirst-new"], timeout=IDLE / 2)
    assert redis_sync.smembers("rq:workers:ackfirst-new") == {worker.key.encode()}


def test_an_id_that_was_pushed_twice_runs_once(redis_sync: redis.Redis, redis_url: str) -> None:
    runs: list[str] = []
    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    redis_sync.rpush(keys.queue(envelope.lane), envelope.id)
    assert burst(redis_url, on()(lambda event: runs.append(event.id))) == 1
    assert runs == [envelope.id]
    assert lane_is_empty(redis_sync, envelope.lane)


def test_a_suspended_worker_takes_nothing_until_it_may(redis_sync: redis.Redis, start: Start) -> None:
    redis_sync.set("rq:suspended", 1)
    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    worker = start()
    wait_until(lambda: redis_sync.hget(worker.key, "state") == b"suspended")
    assert status(redis_sync, envelope.id) == "queued"
    redis_sync.delete("rq:suspended")
    wait_until(lambda: status(redis_sync, envelope.id) == "finished")
    assert lane_is_empty(redis_sync, envelope.lane)


def test_a_worker_registers_again_when_redis_has_forgotten_it(redis_sync: redis.Redis, start: Start) -> None:
    worker = start()
    wait_until(lambda: redis_sync.exists(worker.key))
    redis_sync.flushall()
    redis_sync.rpush(keys.BELL, "1")
    enqueue(redis_sync, make_envelope(lane="after"))

    def is_registered() -> bool:
        redis_sync.rpush(keys.BELL, "1")  # it looks for lanes once a second, and here it waits for the bell much longer
        return bool(redis_sync.hget(worker.key, "queues") == b"ackfirst-after")

    wait_until(is_registered, timeout=8)
    assert redis_sync.hget(worker.key, "pid")


def test_a_lane_that_appears_while_another_is_full_is_served_within_a_batch(
    redis_sync: redis.Redis, redis_url: str
) -> None:
    order: list[str | None] = []

    @on()
    def note(event: Event) -> None:
        if not order:
            enqueue(redis_sync, make_envelope(lane="new", application_id="new"))
        order.append(event.application_id)

    enqueue(redis_sync, *[make_envelope(lane="full", application_id="full") for _ in range(1500)])
    assert burst(redis_url, note, threads="1") == 1501
    assert order.index("new") < 3 * MOST_JOBS
