"""Many jobs at once in one engine, and the effect of a slow handler on the others."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.client import PubSub
from rq import Worker
from rq.registry import FinishedJobRegistry
from rq.results import Result
from rq.serializers import JSONSerializer

from ackfirst import Discard, Event, on
from ackfirst.shared.queue import keys
from ackfirst.workers.engine.event_job import EventJob
from ackfirst.workers.engine.lanes import Lanes
from ackfirst.workers.engine.pace import Pace
from tests.support.factories import make_envelope
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import burst, enqueue, lane_is_empty, status, statuses
from tests.support.processes import Cli
from tests.support.waiting import wait_until


def commands(client: redis.Redis) -> int:
    """Round trips of scripts so far."""
    stats = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval"))


def test_many_jobs_need_few_round_trips(redis_sync: redis.Redis, redis_url: str) -> None:
    enqueue(redis_sync, *[make_envelope() for _ in range(600)])
    before = commands(redis_sync)
    assert burst(redis_url, on()(lambda event: None)) == 600
    assert commands(redis_sync) - before < 150


def test_a_job_of_a_batch_looks_afterwards_as_rq_leaves_one(redis_sync: redis.Redis, redis_url: str) -> None:
    envelope = make_envelope()
    enqueue(redis_sync, envelope, make_envelope())
    burst(redis_url, on()(lambda event: None), store_url="off")
    job = EventJob.fetch(envelope.id, connection=redis_sync, serializer=JSONSerializer)
    assert job.is_finished
    assert job.started_at
    assert job.ended_at
    assert job.started_at <= job.ended_at
    assert 0 < redis_sync.ttl(keys.job(envelope.id)) <= 300
    result = Result.fetch_latest(job, serializer=JSONSerializer)
    assert result is not None
    assert (result.type, result.return_value) == (Result.Type.SUCCESSFUL, "processed")
    assert result.execution_started_at
    assert 0 < redis_sync.ttl(f"rq:results:{envelope.id}") <= 300
    finished = FinishedJobRegistry(keys.queue_name(envelope.lane), connection=redis_sync)
    assert envelope.id in finished.get_job_ids(cleanup=False)
    left = ["rq:execution:*", "rq:executions:*", "rq:worker:*:executions", keys.in_flight("*"), keys.marks("*")]
    assert not [name for pattern in left for name in redis_sync.keys(pattern)]


def test_what_became_of_the_jobs_of_a_batch_is_counted_once_each(redis_sync: redis.Redis, redis_url: str) -> None:
    wanted, unwanted = [make_envelope() for _ in range(3)], [make_envelope() for _ in range(2)]
    refuse = {envelope.id for envelope in unwanted}

    @on()
    def choose(event: Event) -> None:
        if event.id in refuse:
            raise Discard("not for us")

    enqueue(redis_sync, *wanted, *unwanted)
    burst(redis_url, choose)
    assert redis_sync.hgetall(keys.OUTCOMES) == {b"processed": b"3", b"discarded": b"2"}
    assert redis_sync.hget(keys.HANDLER_TIMES, f"{choose.__module__}.{choose.__qualname__}:runs") == b"5"


def test_a_failure_in_a_batch_is_that_jobs_alone(redis_sync: redis.Redis, redis_url: str) -> None:
    envelopes = [make_envelope() for _ in range(20)]
    bad = envelopes[7].id

    @on(retries=0)
    def fail(event: Event) -> None:
        if event.id == bad:
            raise OSError("no")

    enqueue(redis_sync, *envelopes)
    burst(redis_url, fail)
    assert status(redis_sync, bad) == "failed"
    assert statuses(redis_sync, [one for one in envelopes if one.id != bad]) == {"finished"}
    assert redis_sync.hgetall(keys.OUTCOMES) == {b"processed": b"19", b"dead": b"1"}


def test_async_handlers_of_a_batch_run_together(redis_sync: redis.Redis, redis_url: str) -> None:
    together = most = 0

    @on()
    async def wait(event: Event) -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await asyncio.sleep(0.2)
        together -= 1

    enqueue(redis_sync, *[make_envelope() for _ in range(300)])
    assert burst(redis_url, wait) == 300
    assert 50 <= most <= 100, "as many as the limit says"


def test_a_limit_says_how_many_async_handlers_run_at_once(
    redis_sync: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = most = 0

    @on()
    async def wait(event: Event) -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await asyncio.sleep(0.01)
        together -= 1

    enqueue(redis_sync, *[make_envelope() for _ in range(20)])
    monkeypatch.setattr("ackfirst.workers.pool.HANDLER_CONCURRENCY", 3)
    burst(redis_url, wait)
    assert most == 3


def test_async_handlers_that_sleep_delay_no_other_lane(redis_sync: redis.Redis, redis_url: str) -> None:
    ended: list[str | None] = []

    @on()
    async def wait(event: Event) -> None:
        if event.application_id == "sleepers":
            await asyncio.sleep(1)
        ended.append(event.application_id)

    enqueue(redis_sync, *[make_envelope(lane="sleepers", application_id="sleepers") for _ in range(150)])
    enqueue(redis_sync, make_envelope(lane="quick", application_id="quick"))
    burst(redis_url, wait)
    assert ended[0] == "quick"
    assert len(ended) == 151


def test_plain_and_async_handlers_of_one_event_run_in_their_order(redis_sync: redis.Redis, redis_url: str) -> None:
    order: dict[str, list[str]] = {}

    @on()
    async def first(event: Event) -> None:
        await asyncio.sleep(0.01)
        order.setdefault(event.id, []).append("first")

    @on()
    def second(event: Event) -> None:
        asyncio.run(asyncio.sleep(0))  # a plain handler may run a loop of its own
        order.setdefault(event.id, []).append("second")

    @on()
    async def third(event: Event) -> None:
        order.setdefault(event.id, []).append("third")

    enqueue(redis_sync, *[make_envelope() for _ in range(10)])
    assert burst(redis_url, first, second, third) == 10
    assert list(order.values()) == [["first", "second", "third"]] * 10


def test_an_async_handler_that_hogs_the_loop_is_ended_and_the_others_are_not(
    redis_sync: redis.Redis, redis_url: str
) -> None:
    hog, others = make_envelope(), [make_envelope() for _ in range(5)]

    @on(timeout=0.2, retries=0)
    async def spin(event: Event) -> None:
        if event.id == hog.id:
            while True:
                pass

    enqueue(redis_sync, hog, *others)
    burst(redis_url, spin)
    assert status(redis_sync, hog.id) == "failed"
    assert statuses(redis_sync, others) == {"finished"}


def test_an_async_handler_that_exits_fails_alone(redis_sync: redis.Redis, redis_url: str) -> None:
    bad, others = make_envelope(), [make_envelope() for _ in range(5)]

    @on(retries=0)
    async def leave(event: Event) -> None:
        await asyncio.sleep(0.01)
        if event.id == bad.id:
            raise SystemExit(3)

    enqueue(redis_sync, bad, *others)
    burst(redis_url, leave)
    assert status(redis_sync, bad.id) == "failed"
    assert statuses(redis_sync, others) == {"finished"}


def test_what_waits_behind_a_slow_handler_goes_back_and_what_ended_before_is_written(
    redis_sync: redis.Redis, redis_url: str
) -> None:
    envelopes = [make_envelope() for _ in range(5)]
    seen: list[tuple[int, set[str | None], str | None]] = []

    @on()
    def slow(event: Event) -> None:
        if event.id == envelopes[1].id and not seen:
            behind = envelopes[2:]
            wait_until(lambda: statuses(redis_sync, behind) == {"queued"})
            wait_until(lambda: status(redis_sync, envelopes[0].id) == "finished")
            waiting = redis_sync.lrange(keys.queue(envelopes[0].lane), 0, -1)
            assert [one.decode() for one in waiting] == [one.id for one in behind], "in their order"
            seen.append((len(waiting), statuses(redis_sync, behind), status(redis_sync, event.id)))

    enqueue(redis_sync, *envelopes)
    assert burst(redis_url, slow, threads="1") == 5
    assert seen == [(3, {"queued"}, "started")]
    assert statuses(redis_sync, envelopes) == {"finished"}


def test_a_job_that_has_killed_a_worker_is_taken_alone(redis_sync: redis.Redis, redis_url: str) -> None:
    envelopes = [make_envelope() for _ in range(6)]
    marked = envelopes[2].id
    hands: dict[str, int] = {}

    @on()
    def look(event: Event) -> None:
        hands[event.id] = sum(redis_sync.hlen(name) for name in redis_sync.keys(keys.in_flight("*")))

    enqueue(redis_sync, *envelopes)
    redis_sync.hset(keys.job(marked), keys.KILLS, '["signal SIGKILL"]')
    assert burst(redis_url, look) == 6
    assert hands[marked] == 1
    assert not redis_sync.hexists(keys.job(marked), keys.KILLS), "it has not killed this one"


def test_an_id_that_was_pushed_twice_in_a_row_runs_once(redis_sync: redis.Redis, redis_url: str) -> None:
    runs: list[str] = []
    envelopes = [make_envelope() for _ in range(3)]
    enqueue(redis_sync, *envelopes)
    for envelope in envelopes:
        redis_sync.rpush(keys.queue(envelope.lane), envelope.id)
    assert burst(redis_url, on()(lambda event: runs.append(event.id))) == 3
    assert sorted(runs) == sorted(envelope.id for envelope in envelopes)
    assert lane_is_empty(redis_sync, envelopes[0].lane)


@pytest.fixture
def worker(redis_url: str, tmp_path: Path) -> Callable[..., Cli]:
    env = {"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_HANDLERS": "my_handlers", "ACKFIRST_RETRY_SCHEDULE": "0s,0s"}
    return lambda *args: Cli("worker", *args, cwd=tmp_path, env=env, name="worker")


def test_sigterm_in_a_batch_ends_the_running_job_and_gives_the_others_back(
    redis_sync: redis.Redis, worker: Callable[..., Cli], tmp_path: Path
) -> None:
    write_handlers(tmp_path, "@on()\ndef slow(event):\n    note(event.id)\n    time.sleep(0.02)\n")
    envelopes = [make_envelope() for _ in range(400)]
    enqueue(redis_sync, *envelopes)
    with worker("--role", "engine") as engine:
        wait_until(lambda: len(calls(redis_sync)) > 20, timeout=30)
        engine.process.send_signal(signal.SIGTERM)
        assert engine.wait() == 0
    ran = calls(redis_sync)
    finished = [one.id for one in envelopes if status(redis_sync, one.id) == "finished"]
    assert sorted(ran) == sorted(finished), "what ran is finished, what did not is not"
    waiting = [one.decode() for one in redis_sync.lrange(keys.queue(envelopes[0].lane), 0, -1)]
    assert waiting == [one.id for one in envelopes if one.id not in set(ran)]
    assert statuses(redis_sync, [one for one in envelopes if one.id in set(waiting)]) == {"queued"}
    assert not redis_sync.keys(keys.in_flight("*"))
    assert not redis_sync.keys("rq:execution*")


def test_rq_sees_a_batch_while_it_runs(redis_sync: redis.Redis, redis_url: str) -> None:
    seen: list[tuple[str, int, bool]] = []
    envelopes = [make_envelope() for _ in range(4)]

    @on()
    def look(event: Event) -> None:
        [found] = Worker.all(connection=redis_sync, serializer=JSONSerializer)
        running = {one.job_id for one in found.get_current_executions(refresh=True)}
        seen.append((found.get_state(), found.current_execution_count, event.id in running))

    enqueue(redis_sync, *envelopes)
    burst(redis_url, look, threads="1")
    assert [(state, mine) for state, _, mine in seen] == [("busy", True)] * 4
    assert max(count for _, count, _ in seen) >= 2
    assert not redis_sync.zcard(keys.running(envelopes[0].lane))


def test_an_engine_that_was_taken_for_dead_runs_nothing_of_what_it_has_lost(
    redis_sync: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ackfirst.workers.engine.run.STALE_SECONDS", 0.05)
    monkeypatch.setattr("ackfirst.workers.engine.monitor.LOOK_SECONDS", 60.0)
    envelopes = [make_envelope() for _ in range(3)]
    ran: list[str] = []

    @on()
    def first_loses_the_rest(event: Event) -> None:
        ran.append(event.id)
        if len(ran) == 1:
            for name in redis_sync.keys(keys.in_flight("*")):  # a janitor has rescued them
                redis_sync.delete(name)
            time.sleep(0.1)

    enqueue(redis_sync, *envelopes)
    burst(redis_url, first_loses_the_rest, threads="1")
    assert ran == [envelopes[0].id]
    assert not redis_sync.exists(keys.OUTCOMES), "not even the first one is its any more"


def test_what_a_lost_answer_has_left_in_the_hands_goes_back_at_the_end(redis_sync: redis.Redis, redis_url: str) -> None:
    lost = make_envelope(lane="lost")

    @on()
    def lose_an_answer(event: Event) -> None:
        enqueue(redis_sync, lost)  # in a lane that the engine itself does not serve
        [name] = redis_sync.keys(keys.in_flight("*"))
        engine = name.decode().rpartition(":")[2]
        take = Lanes(redis_sync, engine=engine, seed="another", pinned=("lost",))
        assert take.take(Pace(concurrency=9), have=9, most=9).jobs
        os.kill(os.getpid(), signal.SIGTERM)

    enqueue(redis_sync, make_envelope(lane="served"))
    burst(redis_url, lose_an_answer, lanes=("served",))
    assert status(redis_sync, lost.id) == "queued"
    assert not redis_sync.exists(keys.ENGINES)


def test_no_thread_outlives_the_engine(
    redis_sync: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsubscribe = PubSub.unsubscribe

    def woken_at_once(self: PubSub, *channels: Any) -> Any:
        said = unsubscribe(self, *channels)
        wait_until(lambda: not self.subscribed)  # the thread has read the last message
        return said

    monkeypatch.setattr(PubSub, "unsubscribe", woken_at_once)
    enqueue(redis_sync, make_envelope())
    before = set(threading.enumerate())
    burst(redis_url, on()(lambda event: None))
    # RQ waits a second for the thread that listens for its commands (``rq/worker/base.py``), not longer.
    wait_until(lambda: set(threading.enumerate()) <= before)
