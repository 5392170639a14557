"""Replays on a real Redis: which events run again, with which handlers, and what is left alone."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from ackfirst import Context, Event, on
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import rq_time
from ackfirst.shared.store import EventFilter, Store
from tests.support.factories import NOW, make_envelope
from tests.support.jobs import burst, enqueue, status
from tests.support.replays import begin, known, record_in, run_to_end, runner_of, write

ALL = EventFilter(until=NOW + 10_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with record_in(tmp_path) as found:
        yield found


class Handlers:
    """Two handlers, and what they saw."""

    def __init__(self, *broken: str) -> None:
        self.calls: list[tuple[str, str, str | None]] = []
        self.broken = set(broken)

    def functions(self) -> list[Callable[..., Any]]:
        return [self._function("alpha"), self._function("beta")]

    def _function(self, name: str) -> Callable[..., Any]:
        def handler(event: Event, context: Context) -> None:
            self.calls.append((name, event.id, context.replay))
            if name in self.broken:
                raise ValueError("broken")

        handler.__module__, handler.__qualname__, handler.__name__ = "my_handlers", name, name
        return on(retries=0)(handler)

    def work(self, url: str) -> int:
        return burst(url, *self.functions())


def test_an_event_of_which_only_the_record_is_left_runs_again_with_its_exact_body(
    redis_sync: redis.Redis, redis_url: str, store: Store
) -> None:
    envelopes = [make_envelope(received_at=NOW + n, body=f'{{"n": {n}}}'.encode()) for n in range(30)]
    write(store, envelopes, at=NOW + 100)
    replay = begin(store, ALL, total=30)
    seen: list[bytes] = []

    @on()
    def remember(event: Event) -> None:
        seen.append(event.raw)

    ended = run_to_end(runner_of(redis_sync, store), store, replay, lambda: burst(redis_url, remember))
    assert (ended.state, ended.moved, ended.skipped) == ("done", 30, 0)
    burst(redis_url, remember)
    assert seen == [one.body for one in envelopes], "oldest first, each once"


def test_the_memory_of_duplicates_does_not_swallow_a_replay(
    redis_sync: redis.Redis, redis_url: str, store: Store
) -> None:
    envelope, handlers = make_envelope(), Handlers()
    enqueue(redis_sync, envelope)
    handlers.work(redis_url)
    write(store, [envelope], at=NOW, alpha="done", beta="done")
    redis_sync.delete(keys.job(envelope.id))
    replay = begin(store, ALL)
    run_to_end(runner_of(redis_sync, store), store, replay)
    handlers.work(redis_url)
    assert [name for name, _, found in handlers.calls if found == replay.id] == ["alpha", "beta"]


def test_a_dead_letter_goes_back_into_its_lane_and_only_its_dead_handler_runs(
    redis_sync: redis.Redis, redis_url: str, store: Store
) -> None:
    envelope, handlers = make_envelope(lane="one"), Handlers("beta")
    enqueue(redis_sync, envelope)
    handlers.work(redis_url)
    assert status(redis_sync, envelope.id) == "failed"
    write(store, [envelope], "dead", at=NOW, alpha="done", beta="dead")
    handlers.broken.clear()
    replay = begin(store, EventFilter(state="dead", until=NOW + 1))
    ended = run_to_end(runner_of(redis_sync, store), store, replay)
    assert (ended.state, ended.moved) == ("done", 1)
    assert redis_sync.lrange(keys.queue("one"), 0, -1) == [envelope.id.encode()]
    assert not redis_sync.zcard(keys.failed("one"))
    assert redis_sync.ttl(keys.job(envelope.id)) == -1, "it must not expire while it waits"
    handlers.calls.clear()
    handlers.work(redis_url)
    assert handlers.calls == [("beta", envelope.id, replay.id)]
    assert status(redis_sync, envelope.id) == "finished"


def test_a_dead_letter_that_has_expired_is_made_again_and_its_finished_handler_does_not_run(
    redis_sync: redis.Redis, redis_url: str, store: Store
) -> None:
    envelope, handlers = make_envelope(), Handlers()
    write(store, [envelope], "dead", at=NOW, alpha="done", beta="dead")
    replay = begin(store, EventFilter(state="dead", until=NOW + 1))
    run_to_end(runner_of(redis_sync, store), store, replay)
    handlers.work(redis_url)
    assert handlers.calls == [("beta", envelope.id, replay.id)]


@pytest.mark.parametrize("is_kept", [True, False], ids=["with its job", "from the record"])
def test_a_replay_of_one_handler_runs_that_one_and_keeps_the_dead_letter_of_another(
    redis_sync: redis.Redis, redis_url: str, store: Store, *, is_kept: bool
) -> None:
    envelope, handlers = make_envelope(lane="one"), Handlers("beta")
    if is_kept:
        enqueue(redis_sync, envelope)
        handlers.work(redis_url)
        handlers.calls.clear()
    write(store, [envelope], "dead", at=NOW, alpha="done", beta="dead")
    replay = begin(store, EventFilter(state="dead", until=NOW + 1), handlers="my_handlers.alpha")
    run_to_end(runner_of(redis_sync, store), store, replay)
    handlers.work(redis_url)
    assert handlers.calls == [("alpha", envelope.id, replay.id)]
    assert status(redis_sync, envelope.id) == "failed", "beta is still dead"


def test_an_event_that_killed_its_workers_runs_the_handlers_that_had_not_finished(
    redis_sync: redis.Redis, redis_url: str, store: Store
) -> None:
    envelope, handlers = make_envelope(), Handlers()
    write(store, [envelope], "dead", at=NOW, alpha="done")
    replay = begin(store, EventFilter(state="dead", until=NOW + 1))
    run_to_end(runner_of(redis_sync, store), store, replay)
    handlers.work(redis_url)
    assert handlers.calls == [("beta", envelope.id, replay.id)]


def test_what_waits_runs_or_is_retried_is_passed_over_and_counted(
    redis_sync: redis.Redis, redis_url: str, store: Store
) -> None:
    envelopes = [make_envelope(lane="one", received_at=NOW + n) for n in range(4)]
    enqueue(redis_sync, *envelopes[:3])
    redis_sync.hset(keys.job(envelopes[1].id), "status", "started")
    redis_sync.hset(keys.job(envelopes[2].id), "status", "scheduled")
    before = [redis_sync.hgetall(keys.job(one.id)) for one in envelopes[:3]]
    write(store, envelopes, "dead", at=NOW + 10, beta="dead")
    replay = begin(store, ALL)
    ended = run_to_end(runner_of(redis_sync, store), store, replay)
    assert (ended.moved, ended.skipped) == (1, 3)
    assert ended.note == "passed over: 3 wait, run or are retried already"
    assert [redis_sync.hgetall(keys.job(one.id)) for one in envelopes[:3]] == before


def test_a_finished_job_is_replaced(redis_sync: redis.Redis, redis_url: str, store: Store) -> None:
    envelope, handlers = make_envelope(lane="one"), Handlers()
    enqueue(redis_sync, envelope)
    handlers.work(redis_url)
    assert status(redis_sync, envelope.id) == "finished"
    write(store, [envelope], at=time.time())
    replay = begin(store, ALL)
    run_to_end(runner_of(redis_sync, store), store, replay)
    assert not redis_sync.zcard(keys.finished("one"))
    assert redis_sync.ttl(keys.job(envelope.id)) == -1
    handlers.calls.clear()
    handlers.work(redis_url)
    assert [(name, found) for name, _, found in handlers.calls] == [("alpha", replay.id), ("beta", replay.id)]


def test_what_has_ended_since_the_replay_was_created_is_left_alone(
    redis_sync: redis.Redis, redis_url: str, store: Store
) -> None:
    unrecorded, recorded = make_envelope(lane="one"), make_envelope(lane="one")
    write(store, [unrecorded], at=NOW)
    enqueue(redis_sync, unrecorded)
    replay = begin(store, ALL, created_at=time.time() - 60)
    Handlers().work(redis_url)
    write(store, [recorded], at=time.time())
    ended = run_to_end(runner_of(redis_sync, store), store, replay)
    assert (ended.moved, ended.skipped) == (0, 2)
    assert ended.note == "passed over: 2 have ended since the replay was created"


def test_events_that_are_named_run_in_the_order_in_which_they_are_named(
    redis_sync: redis.Redis, redis_url: str, store: Store
) -> None:
    envelopes = [make_envelope(received_at=NOW + n) for n in range(5)]
    write(store, envelopes, at=NOW + 10)
    handlers = Handlers()
    chosen = [envelopes[3].id, "m-unknown", envelopes[0].id]
    ended = run_to_end(runner_of(redis_sync, store), store, begin(store, chosen))
    handlers.work(redis_url)
    assert [event_id for name, event_id, _ in handlers.calls if name == "alpha"] == [envelopes[3].id, envelopes[0].id]
    assert ended.moved == 2


def test_a_replay_waits_while_an_event_waits_too_long(redis_sync: redis.Redis, redis_url: str, store: Store) -> None:
    write(store, [make_envelope(lane="one")], at=NOW)
    live, handlers = make_envelope(lane="two"), Handlers()
    enqueue(redis_sync, live)
    redis_sync.hset(keys.job(live.id), "enqueued_at", rq_time(time.time() - 5))
    replay, runner = begin(store, ALL), runner_of(redis_sync, store)
    runner.step(time.time())
    waiting = known(store, replay)
    assert (waiting.state, waiting.moved) == ("running", 0)
    assert waiting.note == "the oldest event of lane two has waited 5 s"
    handlers.work(redis_url)
    assert run_to_end(runner, store, replay).moved == 1


def test_a_lane_that_no_worker_serves_does_not_hold_up_replays_of_other_lanes(
    redis_sync: redis.Redis, store: Store
) -> None:
    write(store, [make_envelope(lane="one")], at=NOW)
    left = make_envelope(lane="two")
    enqueue(redis_sync, left)
    redis_sync.hset(keys.job(left.id), "enqueued_at", rq_time(time.time() - 5))
    seconds = itertools.count(0, 5)
    runner = runner_of(redis_sync, store, clock=lambda: float(next(seconds)))
    replay = begin(store, ALL)
    assert run_to_end(runner, store, replay).moved == 1


def test_a_replay_waits_while_its_lane_is_paused(redis_sync: redis.Redis, store: Store) -> None:
    write(store, [make_envelope(lane="one", received_at=NOW + n) for n in range(30)], at=NOW + 100)
    redis_sync.hset(keys.PAUSED, "one", "by me")
    seconds = itertools.count(0, 5)
    replay, runner = begin(store, ALL), runner_of(redis_sync, store, clock=lambda: float(next(seconds)))
    for _ in range(5):
        runner.step(time.time())
    assert known(store, replay).note == "lane one is paused"
    assert redis_sync.llen(keys.queue("one")) == known(store, replay).moved <= 10


def test_replayed_events_never_fill_a_lane_that_is_not_worked_off(redis_sync: redis.Redis, store: Store) -> None:
    write(store, [make_envelope(lane="one", received_at=NOW + n) for n in range(200)], at=NOW + 1000)
    runner = runner_of(redis_sync, store)
    replay = begin(store, ALL)
    for _ in range(30):
        runner.step(time.time())
    assert redis_sync.llen(keys.queue("one")) == 10
    assert known(store, replay).state == "running"


def test_a_replay_pauses_itself_when_its_events_keep_dying(
    redis_sync: redis.Redis, redis_url: str, store: Store
) -> None:
    envelopes = [make_envelope(lane="one", received_at=NOW + n) for n in range(300)]
    write(store, envelopes, "dead", at=NOW + 1000, beta="dead")
    replay, handlers = begin(store, ALL), Handlers("beta")
    runner = runner_of(redis_sync, store)
    ended = run_to_end(runner, store, replay, lambda: handlers.work(redis_url))
    assert ended.state == "paused"
    assert ended.moved == ended.died < 100
    assert ended.note.startswith("paused itself: ")
    assert "passes failed: my_handlers.beta: ValueError" in ended.note
    handlers.broken.clear()
    store.replay_update(replay.id, state="running", note="")
    ended = run_to_end(runner, store, replay, lambda: handlers.work(redis_url))
    assert (ended.state, ended.moved) == ("done", 300)


def test_a_replay_that_is_paused_or_stopped_moves_nothing(redis_sync: redis.Redis, store: Store) -> None:
    write(store, [make_envelope()], at=NOW)
    for state in ("paused", "stopped", "done"):
        replay = begin(store, ALL, state=state)
        runner_of(redis_sync, store).step(time.time())
        assert known(store, replay).moved == 0
    assert not redis_sync.exists(keys.READY)


def test_a_replay_begins_when_the_record_has_caught_up(redis_sync: redis.Redis, store: Store) -> None:
    write(store, [make_envelope()], at=NOW)
    replay, runner = begin(store, ALL), runner_of(redis_sync, store)
    redis_sync.xadd(keys.RECORD, {"a": "m-1"}, id=f"{int(time.time() * 1000) + 1000}-1")
    store_position = store.position()
    runner.step(time.time())
    assert known(store, replay).note.startswith("the record is behind")
    assert store_position == store.position()
    redis_sync.delete(keys.RECORD)
    assert run_to_end(runner, store, replay).moved == 1


def test_a_replay_whose_cursor_is_lost_with_redis_does_again_only_what_had_not_ended(
    redis_sync: redis.Redis, redis_url: str, store: Store
) -> None:
    envelopes = [make_envelope(lane="one", received_at=NOW + n) for n in range(6)]
    write(store, envelopes, at=NOW + 100)
    replay = begin(store, ALL)
    run_to_end(runner_of(redis_sync, store), store, replay)
    write(store, envelopes[:4], at=time.time())
    redis_sync.flushall()
    store.replay_update(replay.id, state="running")
    ended = run_to_end(runner_of(redis_sync, store), store, replay)
    assert (ended.moved, ended.skipped) == (2, 4)


def test_a_selection_that_cannot_be_read_pauses_its_replay_and_no_other(redis_sync: redis.Redis, store: Store) -> None:
    write(store, [make_envelope()], at=NOW)
    newer = begin(store, ALL, filter='{"filter": {"colour": "blue"}}')
    good = begin(store, ALL)
    runner_of(redis_sync, store).step(time.time())
    assert known(store, good).moved == 1
    assert known(store, newer).state == "paused"
    assert "not a selection of events" in known(store, newer).note


def test_an_outage_of_redis_ends_the_step_and_not_the_replay(own_redis: Any, store: Store) -> None:
    write(store, [make_envelope()], at=NOW)
    replay = begin(store, ALL)
    with own_redis.client() as client:
        runner = runner_of(client, store)
        own_redis.stop()
        runner.step(time.time())
        assert known(store, replay).state == "running"
        own_redis.start()
        assert run_to_end(runner, store, replay).moved == 1
