"""Takes look only at lanes that have work, in turns, and no lane is ever stranded."""

import time

import pytest
import redis
import redis.asyncio

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.enqueue import Enqueuer
from ackfirst.workers.engine.lanes import Lanes
from ackfirst.workers.recovery.survey import IDLE_SECONDS, LANES_A_ROUND, SWEEP_SECONDS
from tests.support.factories import make_envelope
from tests.support.jobs import OPTIONS, enqueue, survey_for

NOW = time.time()


class FlatPace:
    """Every job takes a moment, and every lane but the full ones has room."""

    def __init__(self, *full: str) -> None:
        self._full = full

    @property
    def budget(self) -> float:
        return 1.0

    def usual(self) -> tuple[int, float]:
        return 128, 0.001

    def known(self) -> dict[str, tuple[int, float]]:
        return dict.fromkeys(self._full, (0, 0.001))


def lanes_for(client: redis.Redis, *pinned: str, engine: str = "e") -> Lanes:
    return Lanes(client, engine=engine, seed=engine, pinned=pinned)


def take(lanes: Lanes, most: int, *, have: int = 0, full: tuple[str, ...] = ()) -> list[str]:
    """The lanes of the jobs that one take brings, in order."""
    return [job.lane for job in lanes.take(FlatPace(*full), have=have, most=most).jobs]


def ready(client: redis.Redis) -> list[str]:
    return [lane.decode() for lane in client.zrange(keys.READY, 0, -1)]


def fill(client: redis.Redis, lane: str, count: int = 1) -> None:
    enqueue(client, *(make_envelope(lane=lane) for _ in range(count)))


async def test_ingest_gives_a_new_lane_its_place_behind_all_others(
    redis_sync: redis.Redis, redis_async: redis.asyncio.Redis
) -> None:
    enqueuer = Enqueuer(redis_async, OPTIONS, dedupe_seconds=60)
    for lane in ("c", "a", "b", "a"):
        await enqueuer.enqueue([make_envelope(lane=lane)], now=NOW)
    assert ready(redis_sync) == ["c", "a", "b"]


def test_a_take_removes_the_lanes_that_it_empties(redis_sync: redis.Redis) -> None:
    for lane in "abc":
        fill(redis_sync, lane)
    fill(redis_sync, "b", 5)
    assert sorted(take(lanes_for(redis_sync), 4)) == ["a", "b", "b", "c"]
    assert ready(redis_sync) == ["b"]


def test_a_lane_that_gave_a_job_goes_behind_all_others_whichever_engine_took_it(redis_sync: redis.Redis) -> None:
    fill(redis_sync, "full", 1_000)
    for number in range(6):
        fill(redis_sync, f"small-{number}")
    engines = [lanes_for(redis_sync, engine=f"e{number}") for number in range(3)]
    taken = [lane for engine in engines for lane in take(engine, 3)]
    assert sum(lane == "full" for lane in taken) <= 3
    assert len({lane for lane in taken if lane != "full"}) == 6, "each small lane waited for one job of the full one"


def test_full_lanes_are_passed_over_and_keep_their_place(redis_sync: redis.Redis) -> None:
    full = tuple(f"full-{number}" for number in range(20))
    for lane in full:
        fill(redis_sync, lane)
    fill(redis_sync, "z")
    assert take(lanes_for(redis_sync), 2, full=full) == ["z"]
    assert set(ready(redis_sync)) == set(full)


def test_ten_thousand_lanes_cost_a_take_no_more_than_one(redis_sync: redis.Redis) -> None:
    enqueue(redis_sync, *(make_envelope(lane=f"lane-{number}") for number in range(10_000)))
    redis_sync.config_resetstat()
    assert len(take(lanes_for(redis_sync), 64)) == 64
    calls = {name: row["calls"] for name, row in redis_sync.info("commandstats").items()}
    assert calls["cmdstat_lrange"] <= 100
    assert calls.get("cmdstat_type", 0) <= 100


def test_lanes_that_other_workers_have_emptied_hide_no_lane_with_work(redis_sync: redis.Redis) -> None:
    redis_sync.zadd(keys.READY, {f"empty-{number}": number for number in range(1_000)})
    redis_sync.zadd(keys.READY, {"z": 5_000})
    fill(redis_sync, "z")
    assert take(lanes_for(redis_sync), 8) == ["z"]
    assert ready(redis_sync) == []


def test_a_pinned_engine_needs_no_place_in_the_set(redis_sync: redis.Redis) -> None:
    fill(redis_sync, "mine", 2)
    fill(redis_sync, "other")
    redis_sync.delete(keys.READY)
    assert take(lanes_for(redis_sync, "mine", "empty"), 1) == ["mine"]
    assert ready(redis_sync) == ["mine"], "its lane is found again by engines that serve all"


@pytest.mark.parametrize("kind", ["string", "list"])
def test_a_foreign_key_in_place_of_the_ready_set_stops_no_engine_and_is_replaced(
    redis_sync: redis.Redis, kind: str
) -> None:
    fill(redis_sync, "a")
    redis_sync.delete(keys.READY)
    redis_sync.set(keys.READY, "x") if kind == "string" else redis_sync.rpush(keys.READY, "x")
    assert take(lanes_for(redis_sync), 8) == []
    assert take(lanes_for(redis_sync, "a"), 8) == ["a"]
    fill_list(redis_sync, "b")
    survey_for(redis_sync).walk(NOW)
    assert take(lanes_for(redis_sync, engine="other"), 8) == ["b"]


def fill_list(client: redis.Redis, lane: str) -> None:
    """As RQ's own commands enqueue a job: without the ready set."""
    enqueue(client, make_envelope(lane=lane))
    if client.type(keys.READY) == b"zset":
        client.zrem(keys.READY, lane)


async def test_a_foreign_key_in_place_of_the_ready_set_refuses_no_event(
    redis_sync: redis.Redis, redis_async: redis.asyncio.Redis
) -> None:
    redis_sync.set(keys.READY, "x")
    enqueuer = Enqueuer(redis_async, OPTIONS, dedupe_seconds=60)
    assert await enqueuer.enqueue([make_envelope(lane="a")], now=NOW) == [True]


@pytest.mark.parametrize("key", [keys.queue("bad"), keys.running("bad")])
def test_a_lane_with_a_key_of_another_type_stops_no_take(redis_sync: redis.Redis, key: str) -> None:
    fill(redis_sync, "bad", 3)
    redis_sync.delete(key)
    redis_sync.set(key, "x")
    fill(redis_sync, "good")
    assert take(lanes_for(redis_sync), 8) == ["good"]


def test_a_lane_that_rq_itself_filled_is_found_by_the_janitor(redis_sync: redis.Redis) -> None:
    fill_list(redis_sync, "a")
    assert take(lanes_for(redis_sync), 8) == []
    survey_for(redis_sync).round(NOW)
    assert take(lanes_for(redis_sync), 8) == ["a"]


def test_a_walk_over_many_lanes_is_bounded_in_each_round(redis_sync: redis.Redis) -> None:
    lanes = [f"lane-{number}" for number in range(3 * LANES_A_ROUND)]
    redis_sync.sadd(keys.LANES, *lanes)
    with redis_sync.pipeline() as pipeline:
        for lane in lanes:
            pipeline.rpush(keys.queue(lane), "x")
        pipeline.execute()
    survey = survey_for(redis_sync)
    survey.round(NOW)
    assert LANES_A_ROUND <= redis_sync.zcard(keys.READY) < 2 * LANES_A_ROUND
    for _ in range(3):
        survey.round(NOW)
    assert redis_sync.zcard(keys.READY) == len(lanes)


def test_a_lane_that_holds_nothing_for_a_while_is_retired_and_comes_back(redis_sync: redis.Redis) -> None:
    clock = [0.0]
    survey = survey_for(redis_sync, clock=lambda: clock[0])
    for lane in ("idle", "waiting", "dead"):
        fill(redis_sync, lane)
    redis_sync.delete(keys.queue("idle"), keys.queue("dead"))
    redis_sync.zadd(keys.failed("dead"), {"job": NOW + 3600})

    def pass_time(seconds: float) -> None:
        for _ in range(int(seconds / SWEEP_SECONDS) + 1):
            survey.walk(NOW)
            clock[0] += SWEEP_SECONDS

    pass_time(IDLE_SECONDS / 2)
    assert redis_sync.smembers(keys.LANES) == {b"idle", b"waiting", b"dead"}
    pass_time(IDLE_SECONDS)
    assert redis_sync.smembers(keys.LANES) == {b"waiting", b"dead"}
    assert redis_sync.smembers(keys.RQ_QUEUES) == {keys.queue(lane).encode() for lane in ("waiting", "dead")}
    fill(redis_sync, "idle")
    assert "idle" in take(lanes_for(redis_sync), 8)
