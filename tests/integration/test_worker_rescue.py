"""The rescue of one job, step by step: only a job that no engine has any more runs again."""

import time

import pytest
import redis

from ackfirst.shared.queue import keys
from ackfirst.workers.engine.lanes import Lanes
from ackfirst.workers.engine.pace import Pace
from ackfirst.workers.recovery.liveness import Death
from ackfirst.workers.recovery.survey import STRANDED_SECONDS, forget_dead_workers
from tests.support.factories import make_envelope
from tests.support.jobs import enqueue, rescuer_for, status, survey_for

LANE = "l"
NOW = time.time()


def _started(client: redis.Redis, engine: str = "e") -> str:
    """A job in the hands of an engine."""
    envelope = make_envelope(lane=LANE)
    enqueue(client, envelope)
    client.hset(keys.ENGINES, engine, 5)
    assert _take(client, engine, take="t") == [envelope.id]
    return envelope.id


def _take(client: redis.Redis, engine: str, *, take: str, have: int = 0) -> list[str]:
    lanes = Lanes(client, engine=engine, seed=take, pinned=(LANE,), wall=lambda: NOW)
    return [job.job_id for job in lanes.take(Pace(concurrency=100), have=have, most=10).jobs]


DEATH = Death("e", "5", "signal SIGKILL")


def _stranded(client: redis.Redis) -> str:
    """A job that a stock worker has taken and not started."""
    envelope = make_envelope(lane=LANE)
    enqueue(client, envelope)
    client.lmove(keys.queue(LANE), keys.intermediate(LANE), "LEFT", "RIGHT")
    return envelope.id


def test_a_dead_engines_job_goes_to_the_front_of_its_lane(redis_sync: redis.Redis) -> None:
    job_id = _started(redis_sync)
    enqueue(redis_sync, make_envelope(lane=LANE))
    for _ in range(2):  # the second time nothing is left to do
        rescuer_for(redis_sync).recover(DEATH, NOW)
        assert redis_sync.lpos(keys.queue(LANE), job_id) == 0
        assert redis_sync.llen(keys.queue(LANE)) == 2
        assert status(redis_sync, job_id) == "queued"
        left = [keys.running(LANE), keys.intermediate(LANE), keys.in_flight("e"), keys.ENGINES]
        assert not redis_sync.exists(*left)
        assert not redis_sync.keys("rq:execution*")


def test_an_engine_that_beats_after_all_keeps_its_job(redis_sync: redis.Redis) -> None:
    job_id = _started(redis_sync)
    redis_sync.hincrby(keys.ENGINES, "e", 1)
    rescuer_for(redis_sync).recover(DEATH, NOW)
    assert status(redis_sync, job_id) == "started"
    assert redis_sync.hget(keys.ENGINES, "e") == b"6"
    assert redis_sync.hexists(keys.in_flight("e"), job_id)


@pytest.mark.parametrize("end", ["finished", "failed", "scheduled", "queued"])
def test_a_job_that_came_to_an_end_meanwhile_is_not_run_again(redis_sync: redis.Redis, end: str) -> None:
    job_id = _started(redis_sync)
    redis_sync.hset(keys.job(job_id), "status", end)
    rescuer_for(redis_sync).recover(DEATH, NOW)
    assert status(redis_sync, job_id) == end
    assert not redis_sync.exists(keys.queue(LANE), keys.ENGINES)


def test_a_job_that_another_engine_has_by_now_stays_there(redis_sync: redis.Redis) -> None:
    job_id = _started(redis_sync)
    redis_sync.hset(keys.job(job_id), "worker_name", "another")
    rescuer_for(redis_sync).recover(DEATH, NOW)
    assert status(redis_sync, job_id) == "started"
    assert not redis_sync.exists(keys.queue(LANE), keys.in_flight("e"))


def test_a_job_without_a_hash_ends_its_engines_burial_not(redis_sync: redis.Redis) -> None:
    redis_sync.delete(keys.job(_started(redis_sync)))
    rescuer_for(redis_sync).recover(DEATH, NOW)
    assert not redis_sync.exists(keys.queue(LANE), keys.in_flight("e"), keys.ENGINES)


def test_a_take_whose_reply_was_lost_brings_the_same_job_again(redis_sync: redis.Redis) -> None:
    job_id = _started(redis_sync)
    enqueue(redis_sync, make_envelope(lane=LANE))
    assert _take(redis_sync, "e", take="t") == [job_id]
    assert redis_sync.llen(keys.queue(LANE)) == 1


def test_the_next_take_of_an_engine_that_has_jobs_brings_others(redis_sync: redis.Redis) -> None:
    _started(redis_sync)
    other = make_envelope(lane=LANE)
    enqueue(redis_sync, other)
    assert _take(redis_sync, "e", take="u", have=1) == [other.id]


def test_the_overdue_job_of_a_stranger_runs_again_uncharged(redis_sync: redis.Redis) -> None:
    job_id = _started(redis_sync)
    redis_sync.delete(keys.in_flight("e"), keys.ENGINES)  # a stock worker has neither
    survey = survey_for(redis_sync, clock=lambda: 100.0)
    survey.walk(NOW)
    assert status(redis_sync, job_id) == "started"
    survey_for(redis_sync).walk(NOW + 241)
    assert status(redis_sync, job_id) == "queued"
    assert redis_sync.hget(keys.job(job_id), "retries_left") == b"2"
    assert not redis_sync.exists(keys.running(LANE))


def test_a_job_of_an_engine_that_lives_is_never_overdue_however_the_clock_is_set(redis_sync: redis.Redis) -> None:
    job_id = _started(redis_sync)
    survey_for(redis_sync).walk(NOW + 7200)
    assert status(redis_sync, job_id) == "started"
    assert not redis_sync.exists(keys.queue(LANE))


def test_entries_that_nobody_can_read_hold_up_no_others(redis_sync: redis.Redis) -> None:
    job_id = _started(redis_sync)
    redis_sync.delete(keys.in_flight("e"), keys.ENGINES)
    redis_sync.zadd(keys.running(LANE), {b"\xff:\xff": 1, "no colon": 1})
    redis_sync.rpush(keys.intermediate(LANE), b"\xff", "a.b:c")
    survey_for(redis_sync).walk(NOW + 241)
    assert status(redis_sync, job_id) == "queued"


def test_a_job_that_a_stranger_took_and_never_started_runs_again(redis_sync: redis.Redis) -> None:
    job_id = _stranded(redis_sync)
    now = [100.0]
    survey = survey_for(redis_sync, clock=lambda: now[0])
    survey.walk(NOW)
    assert not redis_sync.exists(keys.queue(LANE))
    now[0] += STRANDED_SECONDS
    survey.walk(NOW)
    assert redis_sync.lrange(keys.queue(LANE), 0, -1) == [job_id.encode()]
    assert not redis_sync.exists(keys.intermediate(LANE))


def test_what_has_expired_goes_and_stock_workers_do_not_sweep(redis_sync: redis.Redis) -> None:
    redis_sync.sadd(keys.LANES, LANE)
    for registry in (keys.finished(LANE), keys.failed(LANE)):
        redis_sync.zadd(registry, {"old": NOW - 1, "new": NOW + 60})
    redis_sync.zadd(keys.running(LANE), {"j:e": NOW + 60})  # a sweep of RQ could charge a retry only to a running job
    redis_sync.sadd(keys.RQ_WORKERS, "rq:worker:gone")
    survey_for(redis_sync).walk(NOW)
    forget_dead_workers(redis_sync)
    assert redis_sync.zrange(keys.finished(LANE), 0, -1) == redis_sync.zrange(keys.failed(LANE), 0, -1) == [b"new"]
    assert redis_sync.ttl(f"rq:clean_registries:{keys.queue_name(LANE)}") > 60
    assert not redis_sync.exists(keys.RQ_WORKERS)
