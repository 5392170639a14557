"""Metrics of very many lanes: the deepest and the oldest by name, the others as one sum, at a bounded cost."""

import time

import redis
import redis.asyncio

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.snapshot import OTHER_LANES, SHOWN_LANES, LaneDepth, take_snapshot
from tests.support.factories import make_envelope
from tests.support.jobs import enqueue


async def test_a_few_lanes_are_all_shown_and_sum_up_nothing(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    enqueue(redis_sync, *(make_envelope(lane=f"lane-{number}") for number in range(SHOWN_LANES)))
    snapshot = await take_snapshot(redis_async, now=time.time(), failure_ttl=604_800)
    assert set(snapshot.lanes) == {f"lane-{number}" for number in range(SHOWN_LANES)}
    assert {depth.waiting for depth in snapshot.lanes.values()} == {1}


async def test_of_ten_thousand_lanes_the_deepest_and_oldest_are_shown_and_the_sums_are_right(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    now = time.time()
    enqueue(redis_sync, *(make_envelope(lane=f"lane-{number}") for number in range(10_000)))
    enqueue(redis_sync, *(make_envelope(lane="deep") for _ in range(50)))
    old = make_envelope(lane="old")
    enqueue(redis_sync, old)
    redis_sync.hset(keys.job(old.id), "enqueued_at", "2020-01-01T00:00:00.000000Z")
    redis_sync.zadd(keys.failed("lane-9999"), {"a": 1, "b": 2})
    started = time.monotonic()
    snapshot = await take_snapshot(redis_async, now=now, failure_ttl=604_800)
    assert time.monotonic() - started < 10.0
    lanes = snapshot.lanes
    assert len(lanes) == SHOWN_LANES + 1
    assert lanes["deep"].waiting == 50
    assert lanes["old"].oldest_seconds > 86_400
    assert sum(lane.waiting for lane in lanes.values()) == 10_051
    assert sum(lane.dead_letters for lane in lanes.values()) == 2
    assert lanes[OTHER_LANES].oldest_seconds < 600


async def test_a_lane_with_a_key_of_another_type_hides_no_other(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    enqueue(redis_sync, make_envelope(lane="good"))
    redis_sync.sadd(keys.LANES, "bad")
    redis_sync.set(keys.queue("bad"), "x")
    snapshot = await take_snapshot(redis_async, now=time.time(), failure_ttl=604_800)
    assert snapshot.lanes["bad"] == LaneDepth(waiting=0, retries=0, dead_letters=0, oldest_seconds=0.0)
    assert snapshot.lanes["good"].waiting == 1
