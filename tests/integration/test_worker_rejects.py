"""Entries of a lane that are no jobs become rejects with a reason, and every job around them runs."""

import json
import random
from collections.abc import Callable

import pytest
import redis
import structlog
from click.testing import CliRunner, Result

from ackfirst import on
from ackfirst.ops import cli
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.rejects import LONGEST_ENTRY
from ackfirst.workers.recovery.rejects import LINES_A_ROUND, Rejects, RejectsReporter
from ackfirst.workers.recovery.survey import STRANDED_SECONDS
from ackfirst.workers.runtime import outcome_sink
from tests.support.factories import make_envelope
from tests.support.jobs import burst, enqueue, lane_is_empty, set_aside, status, statuses, survey_for

LANE = "l"
NOW = 1_800_000_000.0


@on()
def nothing(_event: object) -> None:
    """Succeed."""


def _garbage(dice: random.Random) -> bytes:
    """Bytes of any length, some of which look like an id."""
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: dice.randbytes(dice.randrange(60)),
        lambda: b"i-%032x" % dice.getrandbits(128),
        lambda: b"x" * dice.choice((511, 512, 513, 5000)),
        lambda: b'["lane","id"]',
        lambda: b"%s %d {}",
    )
    return dice.choice(kinds)()


def _poison(client: redis.Redis, job_id: str, **fields: str) -> str:
    """A waiting job whose hash is as given."""
    client.hset(keys.job(job_id), mapping={"status": "queued", "origin": keys.queue_name(LANE), **fields})
    client.rpush(keys.queue(LANE), job_id)
    return job_id


def test_two_hundred_garbage_entries_among_fifty_jobs_stop_none_of_them(
    redis_sync: redis.Redis, redis_url: str
) -> None:
    dice = random.Random(5)
    good = [make_envelope(lane=LANE) for _ in range(50)]
    enqueue(redis_sync, *good)
    garbage = {_garbage(dice) for _ in range(200)}
    for entry in garbage:
        pivot = dice.choice(good).id
        redis_sync.linsert(keys.queue(LANE), "BEFORE", pivot, entry)
    assert burst(redis_url, nothing) == 50
    assert statuses(redis_sync, good) == {"finished"}
    assert {one.entry for one in set_aside(redis_sync)} == {entry[:LONGEST_ENTRY] for entry in garbage}
    assert lane_is_empty(redis_sync, LANE)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"created_at": "yesterday"}, "cannot be read"),
        ({"timeout": "soon"}, "cannot be read"),
        ({"retries_left": "many"}, "cannot be read"),
        ({"meta": "{"}, "cannot be read"),
        ({"result_ttl": "1e9"}, "cannot be read"),
    ],
)
def test_a_hash_that_cannot_be_read_goes_aside_and_stays_for_a_look(
    redis_sync: redis.Redis, redis_url: str, fields: dict[str, str], reason: str
) -> None:
    good = make_envelope(lane=LANE)
    redis_sync.sadd(keys.LANES, LANE)
    poison = _poison(redis_sync, "p", **fields)
    enqueue(redis_sync, good)
    burst(redis_url, nothing)
    assert status(redis_sync, good.id) == "finished"
    [record] = set_aside(redis_sync)
    assert (record.job_id, record.lane, record.place) == ("p", LANE, "running")
    assert reason in record.reason
    assert redis_sync.ttl(keys.job(poison)) > 0
    assert not redis_sync.keys(keys.in_flight("*"))


@pytest.mark.parametrize(
    "data",
    [
        '["os.system",null,["true"],{}]',
        '["ackfirst.workers.jobs.process",null,[],{}]',
        "\x80\x04N.",
        "{}",
        "",
        "[1,2,3,4]",
    ],
)
def test_a_job_that_is_not_ours_becomes_a_dead_letter_and_runs_nothing(
    redis_sync: redis.Redis, redis_url: str, data: str
) -> None:
    good = make_envelope(lane=LANE)
    redis_sync.sadd(keys.LANES, LANE)
    moment = "2026-01-01T00:00:00.000000Z"
    _poison(redis_sync, "p", data=data, created_at=moment, enqueued_at=moment, timeout="60")
    enqueue(redis_sync, good)
    burst(redis_url, nothing)
    assert status(redis_sync, good.id) == "finished"
    assert redis_sync.zrange(keys.failed(LANE), 0, -1) == [b"p"]
    assert not set_aside(redis_sync)


def test_a_lane_whose_key_is_no_list_and_a_job_key_that_is_no_hash_stop_no_other_lane(
    redis_sync: redis.Redis, redis_url: str
) -> None:
    good = make_envelope(lane="z")
    enqueue(redis_sync, good)
    redis_sync.sadd(keys.LANES, "a", "b")
    redis_sync.set(keys.queue("a"), "a string")
    redis_sync.set(keys.job("s"), "a string")
    redis_sync.rpush(keys.queue("b"), "s")
    burst(redis_url, nothing)
    assert status(redis_sync, good.id) == "finished"
    assert [(one.lane, one.reason) for one in set_aside(redis_sync)] == [("b", "the job key holds no hash")]


def test_garbage_among_running_and_taken_jobs_goes_aside_and_the_rest_is_rescued(redis_sync: redis.Redis) -> None:
    dice = random.Random(6)
    redis_sync.sadd(keys.LANES, LANE)
    taken = make_envelope(lane=LANE)
    enqueue(redis_sync, taken)
    redis_sync.lmove(keys.queue(LANE), keys.intermediate(LANE), "LEFT", "RIGHT")
    redis_sync.set(keys.job("s"), "a string")
    garbage = {_garbage(dice) for _ in range(50)} | {b"s"}
    redis_sync.rpush(keys.intermediate(LANE), *garbage)
    running = {_garbage(dice) for _ in range(50)} | {b"gone:1", b"s:1"}
    redis_sync.zadd(keys.running(LANE), dict.fromkeys(running, 1))
    now = [100.0]
    survey = survey_for(redis_sync, clock=lambda: now[0])
    survey.walk(NOW)
    now[0] += STRANDED_SECONDS
    survey.walk(NOW)
    assert redis_sync.lrange(keys.queue(LANE), 0, -1) == [taken.id.encode()]
    assert not redis_sync.exists(keys.intermediate(LANE), keys.running(LANE))
    found = {(one.place, one.entry) for one in set_aside(redis_sync)}
    assert found == {("taken", one[:LONGEST_ENTRY]) for one in garbage} | {
        ("running", one[:LONGEST_ENTRY]) for one in running
    }


def test_each_reject_is_logged_and_counted_once_whichever_process_made_it(redis_sync: redis.Redis) -> None:
    rejects = Rejects(redis_sync, keep=60)

    def put(count: int) -> None:
        redis_sync.rpush(keys.queue(LANE), *(f"n{number}" for number in range(count)))
        for number in range(count):
            assert rejects.put(LANE, "waiting", f"n{number}", "as ordered")

    def logged() -> list[str]:
        with structlog.testing.capture_logs() as lines:  # each time a janitor that has just started
            RejectsReporter(redis_sync, sink=outcome_sink(redis_sync), log=structlog.get_logger()).report()
        return [line["event"] for line in lines]

    assert logged() == []
    put(2)
    assert logged() == ["job.rejected"] * 2
    put(3 * LINES_A_ROUND)
    assert logged() == ["job.rejected"] * LINES_A_ROUND + ["jobs.rejected"]
    assert logged() == []
    assert redis_sync.hget(keys.OUTCOMES, "rejected") == str(2 + 3 * LINES_A_ROUND).encode()


@pytest.fixture
def run(redis_url: str) -> Callable[..., Result]:
    """Call ``ackfirst rejects``."""

    def invoke(*args: str) -> Result:
        env = {"ACKFIRST_REDIS_URL": redis_url, "COLUMNS": "160"}
        return CliRunner().invoke(cli.main, ["rejects", *args], env=env)

    return invoke


def test_an_operator_sees_it_masked_and_queues_it_again_once_it_is_mended(
    redis_sync: redis.Redis, redis_url: str, run: Callable[..., Result]
) -> None:
    envelope = make_envelope(lane=LANE)
    enqueue(redis_sync, envelope)
    redis_sync.hset(keys.job(envelope.id), "created_at", "yesterday")
    redis_sync.hdel(keys.job(envelope.id), "result_ttl")  # without it RQ is to end the job, and must read all of it
    redis_sync.rpush(keys.queue(LANE), b"\xffgarbage\x1b[31m")
    burst(redis_url, nothing)
    first, second = (json.loads(line) for line in run("list", "--json").output.splitlines())
    mine = next(row for row in (first, second) if row["entry"].startswith(envelope.id))
    other = next(row for row in (first, second) if row is not mine)
    assert other["entry"] == r"\xffgarbage\x1b[31m"
    shown = run("show", mine["id"]).output
    assert "yesterday" in shown or "created_at" in shown
    assert "447700900417" not in shown
    assert "\x1b" not in run("list").output
    redis_sync.hset(keys.job(envelope.id), "created_at", "2026-01-01T00:00:00.000000Z")
    again = run("requeue", mine["id"], other["id"])
    assert again.exit_code == 1, "the other one cannot be"
    assert "nothing to queue" in again.output
    burst(redis_url, nothing)
    assert status(redis_sync, envelope.id) == "finished"
    assert [one.id for one in set_aside(redis_sync)] == [other["id"]]
    assert run("drop", "--all", "--yes").output == "1 record dropped\n"
    assert "There are no rejects." in run("list").output


def test_wrong_usage_is_told(run: Callable[..., Result]) -> None:
    assert run("drop").exit_code == 2
    assert run("show", "1-1").exit_code == 1


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e300", "99999999999999999999", "-5"])
@pytest.mark.parametrize("field", ["timeout", "result_ttl", "failure_ttl"])
def test_a_number_that_no_redis_takes_stops_nobody(
    redis_sync: redis.Redis, redis_url: str, field: str, seconds: str
) -> None:
    odd, good = make_envelope(lane=LANE), [make_envelope(lane=LANE) for _ in range(5)]
    enqueue(redis_sync, odd, *good)
    redis_sync.hset(keys.job(odd.id), field, seconds)
    burst(redis_url, nothing)
    assert statuses(redis_sync, good) == {"finished"}
    assert lane_is_empty(redis_sync, LANE)
    assert not redis_sync.keys(keys.in_flight("*"))
