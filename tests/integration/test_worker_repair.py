"""``ackfirst repair``: jobs that wait to run and are in no list are put back once, and nothing else is touched."""

from collections.abc import Callable

import pytest
import redis
from click.testing import CliRunner

from ackfirst.ops import cli
from ackfirst.shared.queue import keys
from ackfirst.workers.recovery.repair import DOUBT_SECONDS, repair
from tests.support.factories import make_envelope
from tests.support.jobs import enqueue, status

LANE = "l"
Look = Callable[[], list[str]]


@pytest.fixture
def look(redis_sync: redis.Redis) -> Look:
    """Repair without the wait; the jobs that were put back."""
    return lambda: [job_id for job_id, _, _ in repair(redis_sync, sleep=lambda _seconds: None)]


def waiting(client: redis.Redis, count: int) -> list[str]:
    envelopes = [make_envelope(lane=LANE) for _ in range(count)]
    enqueue(client, *envelopes)
    return [envelope.id for envelope in envelopes]


@pytest.mark.parametrize("state", ["queued", "scheduled", "started"])
def test_a_job_in_no_list_is_put_back_once(redis_sync: redis.Redis, look: Look, state: str) -> None:
    [lost], others = waiting(redis_sync, 1), waiting(redis_sync, 2)  # a batch has one time: it is older than the others
    redis_sync.lrem(keys.queue(LANE), 1, lost)
    redis_sync.hset(keys.job(lost), "status", state)
    assert look() == [lost]
    assert redis_sync.lrange(keys.queue(LANE), 0, -1) == [one.encode() for one in (*others, lost)]
    assert status(redis_sync, lost) == "queued"
    assert look() == []


def test_a_lost_job_of_an_empty_lane_is_found(redis_sync: redis.Redis, look: Look) -> None:
    [lost] = waiting(redis_sync, 1)
    redis_sync.delete(keys.queue(LANE))
    assert look() == [lost]


def test_jobs_that_stand_somewhere_or_have_ended_are_left_alone(redis_sync: redis.Redis, look: Look) -> None:
    queued, taken, scheduled, running, held, finished = waiting(redis_sync, 6)
    redis_sync.delete(keys.queue(LANE))
    redis_sync.rpush(keys.queue(LANE), queued)
    redis_sync.rpush(keys.intermediate(LANE), taken)
    redis_sync.hset(keys.job(scheduled), "status", "scheduled")
    redis_sync.zadd(keys.scheduled(LANE), {scheduled: 1})
    redis_sync.hset(keys.job(running), "status", "started")
    redis_sync.zadd(f"rq:executions:{running}", {"x": 1})
    redis_sync.zadd(keys.running(LANE), {f"{running}:x": 1})
    redis_sync.hset(keys.job(held), mapping={"status": "started", "worker_name": "e"})
    redis_sync.hset(keys.ENGINES, "e", 1)
    redis_sync.hset(keys.job(finished), "status", "finished")
    assert look() == []
    assert redis_sync.llen(keys.queue(LANE)) == 1


def test_a_job_that_comes_back_to_its_list_meanwhile_is_left_alone(redis_sync: redis.Redis) -> None:
    [moving] = waiting(redis_sync, 1)
    redis_sync.delete(keys.queue(LANE))

    def sleep(seconds: float) -> None:
        assert seconds == DOUBT_SECONDS
        redis_sync.rpush(keys.queue(LANE), moving)

    assert repair(redis_sync, sleep=sleep) == []
    assert redis_sync.lrange(keys.queue(LANE), 0, -1) == [moving.encode()]


def test_the_command_says_what_it_put_back(
    redis_sync: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ackfirst.workers.recovery.repair.DOUBT_SECONDS", 0.01)
    [lost] = waiting(redis_sync, 1)
    redis_sync.delete(keys.queue(LANE), keys.READY)
    ran = CliRunner().invoke(cli.main, ["repair"], env={"ACKFIRST_REDIS_URL": redis_url})
    assert ran.output == f"{lost}  lane {LANE}  was queued\n1 job put back\n"
    assert redis_sync.zrange(keys.READY, 0, -1) == [LANE.encode()], "workers find it"


def test_waiting_jobs_are_never_searched_for_one_by_one(redis_sync: redis.Redis, look: Look) -> None:
    waiting(redis_sync, 2_000)
    redis_sync.config_resetstat()
    assert look() == []
    calls = redis_sync.info("commandstats")
    assert "cmdstat_lpos" not in calls, "it would cost a look through the whole lane each time"


def test_foreign_jobs_and_garbage_are_passed_over(redis_sync: redis.Redis, look: Look) -> None:
    redis_sync.hset(keys.job("foreign"), mapping={"status": "queued", "origin": "default"})
    redis_sync.hset("rq:job:\xff", mapping={"status": "queued", "origin": keys.queue_name(LANE)})
    redis_sync.hset(keys.job("odd"), mapping={"status": "started", "origin": b"\xff"})
    redis_sync.set(keys.job("string"), "x")
    assert look() == []
