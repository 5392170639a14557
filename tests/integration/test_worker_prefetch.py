"""The engine fetches and settles while handlers run; whatever happens to that, nothing is lost or runs twice."""

import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
import redis

from ackfirst import Event, on
from ackfirst.shared.queue import keys
from ackfirst.workers.engine.pace import BATCH_SECONDS
from tests.support.factories import make_envelope
from tests.support.jobs import burst, enqueue, lane_is_empty, status, statuses
from tests.support.waiting import wait_until


def pending(client: redis.Redis) -> int:
    """How many jobs are running as Redis sees it."""
    return sum(client.hlen(name) for name in client.keys(keys.in_flight("*")))


def test_the_next_batch_has_come_before_this_one_has_ended(redis_sync: redis.Redis, redis_url: str) -> None:
    held: list[int] = []

    @on()
    def look(event: Event) -> None:
        held.append(pending(redis_sync))
        time.sleep(0.001)

    envelopes = [make_envelope() for _ in range(60)]
    enqueue(redis_sync, *envelopes)
    assert burst(redis_url, look, threads="1") == 60
    sinks = sum(now < before for before, now in pairwise(held))
    assert sinks, "batches are settled on the way"
    assert sum(number >= 2 for number in held[4:40]) > 30, "while many wait, the next one is there"
    assert statuses(redis_sync, envelopes) == {"finished"}
    assert lane_is_empty(redis_sync, envelopes[0].lane)


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


def test_a_lone_event_beside_a_full_lane_waits_for_two_batches_at_the_most(
    redis_sync: redis.Redis, redis_url: str
) -> None:
    arrived: list[float] = []
    waited: list[float] = []

    @on()
    def work(event: Event) -> None:
        if event.application_id == "lone":
            waited.append(time.monotonic() - arrived[-1])
            return
        time.sleep(0.0005)
        if len(arrived) < 20 and len(waited) == len(arrived):
            arrived.append(time.monotonic())
            enqueue(redis_sync, make_envelope(lane="b", application_id="lone"))

    enqueue(redis_sync, *[make_envelope(lane="a") for _ in range(1500)])
    redis_sync.sadd(keys.LANES, "b")
    burst(redis_url, work, threads="1")
    assert len(waited) == 20
    waits = sorted(waited)
    assert waits[len(waits) // 2] < 4 * BATCH_SECONDS, "two batches, and what Redis and a busy machine take"


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
