"""The recorder on a real Redis and a real store: everything once, and Redis is let go of."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
import structlog
from structlog.testing import capture_logs

from ackfirst import Discard, Event, on
from ackfirst.shared.errors import StoreUnavailableError
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.enqueue import Enqueuer
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.job import JobOptions
from ackfirst.shared.queue.record import GAP_EVENTS
from ackfirst.shared.store import EventRow, Store, open_store
from ackfirst.workers.engine.lanes import Lanes
from ackfirst.workers.engine.pace import Pace
from ackfirst.workers.lease import Lease
from ackfirst.workers.recorder.high_water import HighWater
from ackfirst.workers.recorder.recorder import Recorder
from ackfirst.workers.recorder.stream import RecordStream
from ackfirst.workers.recovery.held_jobs import HeldJobs
from ackfirst.workers.recovery.liveness import Death
from ackfirst.workers.recovery.redis_clock import RedisClock
from ackfirst.workers.recovery.rejects import Rejects, RejectsReporter
from ackfirst.workers.recovery.rescuer import Rescuer
from ackfirst.workers.runtime import outcome_sink
from ackfirst.workers.unavailable import try_once
from tests.support.factories import make_envelope
from tests.support.handlers import write_handlers
from tests.support.jobs import OPTIONS, burst, enqueue
from tests.support.processes import ROOT
from tests.support.stack import settings

RECORDED = JobOptions(
    timeout=OPTIONS.timeout,
    result_ttl=OPTIONS.result_ttl,
    failure_ttl=OPTIONS.failure_ttl,
    retry_intervals=OPTIONS.retry_intervals,
    is_recorded=True,
)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store' / 'record.db'}"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, migrate=True) as opened:
        yield opened


def event_of(**fields: Any) -> Envelope:
    """An envelope with a message id of its own."""
    return make_envelope(message_id=secrets.token_hex(8), **fields)


class Switch:
    """Opens the store, unless it is meant to be away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.is_away = False

    def __call__(self) -> Store:
        if self.is_away:
            raise StoreUnavailableError("away, as ordered")
        return open_store(self._url, migrate=True)


def recorder(client: redis.Redis, opens: Callable[[], Store], **high_water: Any) -> Recorder:
    log = structlog.get_logger()
    return Recorder(
        RecordStream(client, log=log),
        Lease(client, keys.RECORDER_LEASE, token="test"),
        opens,
        high_water=HighWater(client, log=log, **high_water),
        replays=None,
        keep=86_400.0,
        clock=RedisClock(client),
        retry=try_once,
        log=log,
    )


def record_all(client: redis.Redis, one: Recorder) -> None:
    """Record until nothing is left."""
    deadline = time.monotonic() + 20
    while client.xlen(keys.RECORD):
        one.round()
        assert time.monotonic() < deadline


def row(store: Store, event_id: str) -> EventRow:
    (found,) = store.message(event_id)
    return found


def test_an_event_is_recorded_with_its_body_its_attempt_and_its_end(
    redis_sync: redis.Redis, redis_url: str, store: Store, store_url: str
) -> None:
    envelope = event_of(received_at=time.time())
    enqueue(redis_sync, envelope, options=RECORDED)

    @on()
    def greet(event: Event) -> str:
        return f"hello {event.channel}"

    burst(redis_url, greet)
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    found = row(store, envelope.id)
    assert (found.body, found.lane) == (envelope.body, envelope.lane)
    assert (found.state, found.attempts, found.channel) == ("processed", 1, "sms")
    (attempt,) = store.attempts([envelope.id])
    assert (attempt.number, attempt.ending, attempt.returned) == (1, "done", "hello sms")
    assert attempt.handler.endswith("greet")


def test_a_finished_job_stays_until_it_is_recorded_and_goes_then(
    redis_sync: redis.Redis, redis_url: str, store_url: str
) -> None:
    envelope = event_of(received_at=time.time())
    enqueue(redis_sync, envelope, options=RECORDED)
    burst(redis_url, on()(lambda event: None))
    job, registry = keys.job(envelope.id), keys.finished(envelope.lane)
    assert redis_sync.ttl(job) == -1
    assert redis_sync.zscore(registry, envelope.id) > keys.HELD_SECONDS
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    assert 0 < redis_sync.ttl(job) <= 300
    assert redis_sync.zscore(registry, envelope.id) < time.time() + 301


def test_retries_and_a_dead_letter_are_recorded_with_every_attempt(
    redis_sync: redis.Redis, redis_url: str, store: Store, store_url: str
) -> None:
    envelope = event_of(received_at=time.time())
    enqueue(redis_sync, envelope, options=RECORDED)

    @on()
    def fail(event: Event) -> None:
        raise RuntimeError(f"no luck with {event.sender}")

    burst(redis_url, fail)
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    assert (row(store, envelope.id).state, row(store, envelope.id).attempts) == ("dead", 3)
    assert [(one.number, one.ending) for one in store.attempts([envelope.id])] == [
        (1, "retry"),
        (2, "retry"),
        (3, "dead"),
    ]
    (letter,) = store.dead("fail", "RuntimeError", 0.0, time.time() + 60, after=None, limit=10) or [None]
    assert letter is None or letter.event_id == envelope.id


def test_what_no_handler_wants_and_what_is_discarded_is_recorded_as_such(
    redis_sync: redis.Redis, redis_url: str, store: Store, store_url: str
) -> None:
    wanted, other = event_of(received_at=time.time()), event_of(received_at=time.time(), family="other")
    enqueue(redis_sync, wanted, other, options=RECORDED)

    @on("inbound-message")
    def drop(event: Event) -> None:
        raise Discard("not for us")

    burst(redis_url, drop)
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    assert {row(store, wanted.id).state, row(store, other.id).state} == {"discarded", "unhandled"}


async def test_a_repeated_callback_is_a_request_and_no_second_event(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis, store: Store, store_url: str
) -> None:
    envelope = event_of(received_at=time.time())
    enqueuer = Enqueuer(redis_async, RECORDED, dedupe_seconds=60)
    assert await enqueuer.enqueue([envelope, envelope], now=time.time()) == [True, False]
    assert await enqueuer.enqueue([envelope], now=time.time()) == [False]
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    assert row(store, envelope.id).state == "waiting"
    assert {one.kind for one in store.requests([envelope.id])} == {"duplicate"}
    assert sum(one.count for one in store.requests([envelope.id])) == 2


def test_an_event_that_was_queued_while_the_record_was_off_is_recorded_when_it_ends(
    redis_sync: redis.Redis, redis_url: str, store: Store, store_url: str
) -> None:
    envelope = event_of(received_at=time.time())
    enqueue(redis_sync, envelope, options=OPTIONS)
    burst(redis_url, on()(lambda event: None))
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    found = row(store, envelope.id)
    assert (found.state, found.body) == ("processed", envelope.body)
    assert 0 < redis_sync.ttl(keys.job(envelope.id)) <= 300


def test_nothing_is_lost_while_the_store_is_away(
    redis_sync: redis.Redis, redis_url: str, store: Store, store_url: str
) -> None:
    opens = Switch(store_url)
    one = recorder(redis_sync, opens)
    opens.is_away = True
    envelopes = [event_of(received_at=time.time()) for _ in range(20)]
    enqueue(redis_sync, *envelopes, options=RECORDED)
    burst(redis_url, on()(lambda event: None))
    with capture_logs() as lines:
        one.round()
        opens.is_away = False
        record_all(redis_sync, one)
    assert [line["event"] for line in lines if line["event"].startswith("record.")] == [
        "record.unavailable",
        "record.available",
    ]
    assert {row(store, envelope.id).state for envelope in envelopes} == {"processed"}
    assert store.gaps(0.0) == []


def test_a_recorder_that_was_killed_after_its_commit_leaves_no_job_and_no_second_row(
    redis_sync: redis.Redis, redis_url: str, store: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    envelope = event_of(received_at=time.time())
    enqueue(redis_sync, envelope, options=RECORDED)
    burst(redis_url, on()(lambda event: None))
    with monkeypatch.context() as patch:
        patch.setattr(RecordStream, "release", lambda *_arguments, **_named: None)
        recorder(redis_sync, Switch(store_url)).round()
    assert store.position() != "0-0"
    assert redis_sync.ttl(keys.job(envelope.id)) == -1
    recorder(redis_sync, Switch(store_url)).round()
    assert redis_sync.ttl(keys.job(envelope.id)) > 0
    assert len(store.attempts([envelope.id])) == 1


def test_a_redis_that_has_gone_back_in_time_is_read_from_its_start(
    redis_sync: redis.Redis, store: Store, store_url: str
) -> None:
    redis_sync.xadd(keys.RECORD, {"a": ""}, id="9000000000000-0")
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    redis_sync.delete(keys.RECORD, keys.RECORDER)
    envelope = event_of(received_at=time.time())
    enqueue(redis_sync, envelope, options=RECORDED)
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    assert row(store, envelope.id).state == "waiting"


def test_above_the_high_water_the_oldest_finished_are_let_go_and_noted_as_a_gap(
    redis_sync: redis.Redis, redis_url: str, store: Store, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ackfirst.workers.recorder.high_water.PATIENCE_SECONDS", 0.0)
    opens = Switch(store_url)
    opens.is_away = True
    finished = [event_of(received_at=time.time()) for _ in range(5)]
    for envelope in finished:
        enqueue(redis_sync, envelope, options=RECORDED)
    burst(redis_url, on()(lambda event: None))
    waiting = event_of(received_at=time.time())
    enqueue(redis_sync, waiting, options=RECORDED)
    one = recorder(redis_sync, opens, events=2)
    with capture_logs() as lines:
        one.round()
    (line,) = (line for line in lines if line["event"] == "record.gap")
    assert line["events"] == 5
    assert redis_sync.hget(keys.RECORDER, GAP_EVENTS) == b"5"
    assert not any(redis_sync.exists(keys.job(envelope.id)) for envelope in finished)
    assert redis_sync.exists(keys.job(waiting.id))
    opens.is_away = False
    burst(redis_url, on()(lambda event: None))
    record_all(redis_sync, one)
    (gap,) = store.gaps(0.0)
    assert gap.count == 5
    assert row(store, waiting.id).state == "processed"
    assert row(store, waiting.id).body == waiting.body


def test_a_job_that_was_deleted_before_it_was_recorded_is_a_gap(
    redis_sync: redis.Redis, store: Store, store_url: str
) -> None:
    envelope = event_of()
    enqueue(redis_sync, envelope, options=RECORDED)
    redis_sync.delete(keys.job(envelope.id))
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    assert [gap.count for gap in store.gaps(0.0)] == [1]


def test_an_entry_that_another_program_has_written_does_not_hold_up_the_others(
    redis_sync: redis.Redis, store: Store, store_url: str
) -> None:
    before, after = event_of(received_at=time.time()), event_of(received_at=time.time())
    enqueue(redis_sync, before, options=RECORDED)
    outcome = [before.id, "lane", "processed", "soon", None, "", 1, None, None, []]
    for odd in (b"no JSON", json.dumps([outcome]).encode()):
        redis_sync.xadd(keys.RECORD, {"o": odd})
    enqueue(redis_sync, after, options=RECORDED)
    with capture_logs() as lines:
        record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    assert [line["event"] for line in lines] == ["record.unreadable"] * 2
    assert {row(store, before.id).state, row(store, after.id).state} == {"waiting"}


def test_a_store_that_is_wiped_while_the_recorder_runs_is_filled_again_and_has_a_gap(
    redis_sync: redis.Redis, store_url: str, tmp_path: Path
) -> None:
    one = recorder(redis_sync, Switch(store_url))
    enqueue(redis_sync, event_of(received_at=time.time()), options=RECORDED)
    record_all(redis_sync, one)
    for file in (tmp_path / "store").glob("record.db*"):
        file.unlink()
    later = event_of(received_at=time.time())
    enqueue(redis_sync, later, options=RECORDED)
    record_all(redis_sync, one)
    with open_store(store_url) as store:
        assert row(store, later.id).state == "waiting"
        assert [gap.count for gap in store.gaps(0.0)] == [1]


def test_switched_off_the_janitor_lets_go_of_everything_that_the_record_holds(
    redis_sync: redis.Redis, redis_url: str
) -> None:
    envelope = event_of()
    enqueue(redis_sync, envelope, options=RECORDED)
    burst(redis_url, on()(lambda event: None))
    held = HeldJobs(redis_sync, is_recorded=False, log=structlog.get_logger())
    with capture_logs() as lines:
        assert held.sweep(time.time()) == 1
    assert [line["event"] for line in lines] == ["record.let-go"]
    assert 0 < redis_sync.ttl(keys.job(envelope.id)) <= 300
    assert not redis_sync.exists(keys.RECORD)
    assert held.sweep(time.time()) == 0


def test_switched_on_again_the_time_without_the_record_is_a_gap(
    redis_sync: redis.Redis, store: Store, store_url: str
) -> None:
    enqueue(redis_sync, event_of(), options=RECORDED)
    HeldJobs(redis_sync, is_recorded=False, log=structlog.get_logger()).sweep(time.time())
    enqueue(redis_sync, event_of(), event_of(), options=OPTIONS)
    enqueue(redis_sync, event_of(), options=RECORDED)
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    assert [gap.reason for gap in store.gaps(0.0)] == ["the record was off"]


def test_a_job_that_the_recorder_has_passed_is_let_go_by_the_janitor(redis_sync: redis.Redis, redis_url: str) -> None:
    envelope = event_of()
    enqueue(redis_sync, envelope, options=RECORDED)
    burst(redis_url, on()(lambda event: None))
    held = HeldJobs(redis_sync, is_recorded=True, log=structlog.get_logger())
    assert held.sweep(time.time()) == 0
    redis_sync.delete(keys.RECORD)
    assert held.sweep(time.time() + 120) == 1
    assert redis_sync.ttl(keys.job(envelope.id)) > 0


_PICKY = """
@on(retries=0)
def picky(event):
    if event.text == "bad":
        raise ValueError("bad")
"""


@pytest.mark.parametrize("kind", ["rq.worker.Worker", "rq.worker.SimpleWorker"])
def test_what_a_stock_worker_runs_is_recorded_and_its_job_is_let_go(
    redis_sync: redis.Redis, redis_url: str, store_url: str, tmp_path: Path, kind: str
) -> None:
    good, bad = event_of(received_at=time.time()), event_of(received_at=time.time(), payload={"text": "bad"})
    enqueue(redis_sync, good, bad, options=RECORDED)
    handlers = {"ACKFIRST_HANDLERS": write_handlers(tmp_path, _PICKY), "PYTHONPATH": str(ROOT)}
    env = {**os.environ, **settings(redis_url, tmp_path), **handlers}
    stock = (sys.executable, "-m", "rq.cli", "worker", "--serializer", "json", "--burst", "--url", redis_url)
    command = (*stock, "-w", kind, keys.queue_name(good.lane))
    subprocess.run(command, cwd=tmp_path, env=env, check=True, timeout=60, capture_output=True)
    assert redis_sync.ttl(keys.job(good.id)) == -1
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    with open_store(store_url) as store:
        assert (row(store, good.id).state, row(store, bad.id).state) == ("processed", "dead")
    assert 0 < redis_sync.ttl(keys.job(good.id)) <= 300
    assert redis_sync.zscore(keys.finished(good.lane), good.id) < time.time() + 301


def test_a_job_that_killed_its_workers_is_recorded_as_dead_by_the_script_that_buries_it(
    redis_sync: redis.Redis, redis_url: str, store: Store, store_url: str
) -> None:
    envelope = event_of(received_at=time.time())
    enqueue(redis_sync, envelope, options=RECORDED)
    log = structlog.get_logger()
    rescuer = Rescuer(
        redis_sync, Rejects(redis_sync, keep=60), keep=60, sink=outcome_sink(redis_sync), log=log, is_recorded=True
    )
    for number in range(3):
        engine = f"engine-{number}"
        redis_sync.hset(keys.ENGINES, engine, "1")
        lanes = Lanes(redis_sync, engine=engine, seed=f"{number}" * 24)
        assert lanes.take(Pace(concurrency=10), have=0, most=1).jobs
        rescuer.recover(Death(engine, "1", "signal SIGKILL"), time.time())
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    found = row(store, envelope.id)
    assert (found.state, found.reason) == ("dead", "; ".join(["signal SIGKILL"] * 3))


def test_a_rejected_entry_is_recorded_by_the_janitor(redis_sync: redis.Redis, store: Store, store_url: str) -> None:
    envelope = event_of(received_at=time.time())
    enqueue(redis_sync, envelope, options=RECORDED)
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    Rejects(redis_sync, keep=60).put(envelope.lane, "waiting", envelope.id, "no job hash", job_id=envelope.id)
    sink = outcome_sink(redis_sync, is_recorded=True)
    RejectsReporter(redis_sync, sink=sink, log=structlog.get_logger()).report()
    record_all(redis_sync, recorder(redis_sync, Switch(store_url)))
    assert (row(store, envelope.id).state, row(store, envelope.id).reason) == ("rejected", "no job hash")
