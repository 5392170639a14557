"""The engine fetches and settles while handlers run; whatever happens to that, nothing is lost or runs twice."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
import redis

from ackfirst import Event, on
from ackfirst.shared.queue import keys
from ackfirst.workers.engine.fetch import MOST_UNSETTLED, MOST_WAITING
from ackfirst.workers.engine.fetched_job import FetchedJob
from ackfirst.workers.engine.in_flight import CompletedJob, InFlightStore
from ackfirst.workers.engine.lanes import Lanes
from ackfirst.workers.engine.monitor import LOOK_SECONDS
from ackfirst.workers.engine.pace import BATCH_SECONDS, MOST_JOBS, Pace
from tests.support.factories import make_envelope
from tests.support.jobs import burst, enqueue, lane_is_empty, status, statuses
from tests.support.waiting import wait_until


def pending(client: redis.Redis) -> int:
    """How many jobs are running as Redis sees it."""
    return sum(client.hlen(name) for name in client.keys(keys.in_flight("*")))


def test_the_next_batch_has_come_before_this_one_has_ended(
    redis_sync: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ackfirst.workers.engine.pace.AHEAD_SECONDS", 60.0)  # however slow the machine is
    monkeypatch.setattr("ackfirst.workers.engine.monitor.LOOK_SECONDS", 60.0)
    envelopes = [make_envelope() for _ in range(60)]
    ran: list[str] = []

    @on()
    def look(event: Event) -> None:
        ran.append(event.id)
        if 4 < len(ran) <= 40:
            wait_until(lambda: pending(redis_sync) >= 2, message="while many wait, the next one is there")
        elif len(ran) == 60:
            wait_until(lambda: pending(redis_sync) == 1, message="batches are settled on the way")

    enqueue(redis_sync, *envelopes)
    assert burst(redis_url, look, threads="1") == 60
    assert ran == [one.id for one in envelopes]
    assert statuses(redis_sync, envelopes) == {"finished"}
    assert lane_is_empty(redis_sync, envelopes[0].lane)


def test_a_slow_settlement_holds_up_the_fetch_so_that_a_death_repeats_few_events(
    redis_sync: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A fetch may come when so many are not settled and so many wait, each less one.
    limit = MOST_UNSETTLED + MOST_WAITING + MOST_JOBS
    settle, ran = InFlightStore.settle, Counter[str]()
    settled, most = [0], [0]

    def late(self: InFlightStore, completed: Sequence[CompletedJob], **fields: Any) -> tuple[set[str], set[str]]:
        with suppress(AssertionError):  # as many as are let
            wait_until(lambda: len(ran) - settled[0] >= limit, timeout=0.5)
        most[0] = max(most[0], len(ran) - settled[0])
        settled[0] += len(completed)
        return settle(self, completed, **fields)

    monkeypatch.setattr(InFlightStore, "settle", late)
    envelopes = [make_envelope() for _ in range(600)]
    enqueue(redis_sync, *envelopes)
    assert burst(redis_url, on()(lambda event: ran.update([event.id])), threads="1") == 600
    assert MOST_UNSETTLED <= most[0] < limit
    assert ran == {one.id: 1 for one in envelopes}


def break_scripts(client: redis.Redis) -> None:
    client.script_flush()


def break_connections(client: redis.Redis) -> None:
    client.client_kill_filter(_type="normal", skipme=True)


@pytest.mark.parametrize("sabotage", [break_scripts, break_connections])
def test_a_broken_fetch_loses_nothing_and_runs_nothing_twice(
    redis_sync: redis.Redis, redis_url: str, sabotage: Callable[[redis.Redis], None]
) -> None:
    runs: Counter[str] = Counter()

    @on()
    def count(event: Event) -> None:
        runs[event.id] += 1
        if len(runs) % 25 == 0:
            sabotage(redis_sync)

    envelopes = [make_envelope(lane=f"lane-{n % 3}") for n in range(300)]
    enqueue(redis_sync, *envelopes)
    burst(redis_url, count, threads="1")
    assert runs == {one.id: 1 for one in envelopes}
    assert statuses(redis_sync, envelopes) == {"finished"}
    assert redis_sync.hget(keys.OUTCOMES, "processed") == b"300"
    assert not pending(redis_sync)


def test_what_was_fetched_behind_a_slow_handler_goes_back_too(redis_sync: redis.Redis, redis_url: str) -> None:
    envelopes = [make_envelope() for _ in range(200)]
    slow = envelopes[150].id
    seen: list[set[str | None]] = []

    @on()
    def mostly_quick(event: Event) -> None:
        if event.id == slow and not seen:
            wait_until(lambda: pending(redis_sync) == 1)
            seen.append(statuses(redis_sync, envelopes[151:]))

    enqueue(redis_sync, *envelopes)
    assert burst(redis_url, mostly_quick, threads="1") == 200
    assert seen == [{"queued"}]
    assert statuses(redis_sync, envelopes) == {"finished"}


def test_an_event_whose_give_back_was_not_answered_does_not_run_twice(
    redis_sync: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    envelopes = [make_envelope() for _ in range(4)]
    runs: Counter[str] = Counter()
    lost: list[int] = []
    release = InFlightStore.release

    def release_without_answer(store: InFlightStore, jobs: Sequence[FetchedJob]) -> None:
        release(store, jobs)
        if jobs and not lost:
            lost.append(len(jobs))
            raise redis.exceptions.ConnectionError("the answer was lost")

    monkeypatch.setattr(InFlightStore, "release", release_without_answer)

    @on()
    def first_is_slow(event: Event) -> None:
        runs[event.id] += 1
        if event.id == envelopes[0].id:
            wait_until(lambda: lost)
            time.sleep(LOOK_SECONDS / 2)  # they were submitted again by now, and the next look had not come

    enqueue(redis_sync, *envelopes)
    assert burst(redis_url, first_is_slow, threads="1") == 4
    assert lost
    assert runs == {one.id: 1 for one in envelopes}
    assert statuses(redis_sync, envelopes) == {"finished"}


def test_a_give_back_that_is_repeated_leaves_alone_what_was_fetched_again(redis_sync: redis.Redis) -> None:
    [envelope] = [make_envelope()]
    enqueue(redis_sync, envelope)
    lanes = Lanes(redis_sync, engine="engine", seed="seed")
    store = InFlightStore(redis_sync, engine="engine")
    [before] = lanes.take(Pace(concurrency=9), have=0, most=9).jobs
    store.release([before])
    [after] = lanes.take(Pace(concurrency=9), have=0, most=9).jobs
    store.release([before])
    assert status(redis_sync, envelope.id) == "started"
    assert store.holds(after)
    assert not redis_sync.llen(keys.queue(envelope.lane))


def test_a_lone_event_beside_a_full_lane_waits_for_two_batches_at_the_most(
    redis_sync: redis.Redis, redis_url: str
) -> None:
    task = 0.0005
    before: list[int] = []
    done = 0
    queued_at: int | None = None

    @on()
    def work(event: Event) -> None:
        nonlocal done, queued_at
        if event.application_id == "lone":
            assert queued_at is not None
            before.append(done - queued_at)
            queued_at = None
            return
        time.sleep(task)
        done += 1
        if queued_at is None and len(before) < 20:
            enqueue(redis_sync, make_envelope(lane="b", application_id="lone"))
            queued_at = done

    enqueue(redis_sync, *[make_envelope(lane="a") for _ in range(1500)])
    burst(redis_url, work, threads="1")
    assert len(before) == 20
    # Counted in events and not in seconds: on a busy machine each takes longer, and fewer of them are a batch.
    assert max(before) <= 2 * BATCH_SECONDS / task


def test_a_job_that_fails_while_others_are_fetched_fails_alone(redis_sync: redis.Redis, redis_url: str) -> None:
    envelopes = [make_envelope() for _ in range(200)]
    bad = {one.id for one in envelopes[::20]}

    @on(retries=0)
    def some_fail(event: Event) -> None:
        if event.id in bad:
            raise OSError("no")

    enqueue(redis_sync, *envelopes)
    burst(redis_url, some_fail)
    assert {one.id for one in envelopes if status(redis_sync, one.id) == "failed"} == bad
    assert redis_sync.hgetall(keys.OUTCOMES) == {b"processed": b"190", b"dead": b"10"}
