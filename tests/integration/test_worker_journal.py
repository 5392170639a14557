"""What a handler that ends its process costs the others of its batch: nothing."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import redis

from shared import keys
from tests.support.factories import make_envelope
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import burst, enqueue, rescue_all, status, statuses
from tests.support.processes import Cli
from tests.support.redis_process import RedisProcess
from workers import on
from workers.journal import Journal
from workers.marks import Mark, State
from workers.taken import Taken

DONE = {"my.handler": Mark(State.DONE, 1)}


def engine(folder: Path, url: str, name: str) -> Cli:
    env = {"ACKFIRST_REDIS_URL": url, "ACKFIRST_HANDLERS": "my_handlers"}
    return Cli("worker", "--burst", cwd=folder, env=env, name=name)


def taken(job_id: str, execution: str = "x1") -> Taken:
    fields = {"data": b"", "timeout": 60.0, "result_ttl": 60, "has_killed": False, "marks": {}, "at": 0.0}
    return Taken(lane="l", job_id=job_id, execution_id=execution, **fields)


def in_hands(client: redis.Redis, execution: str = "x1") -> str:
    """A job that the engine ``e`` runs."""
    envelope = make_envelope(lane="l")
    enqueue(client, envelope)
    client.delete(keys.queue("l"))
    client.hset(keys.job(envelope.id), mapping={"status": "started", "worker_name": "e"})
    client.hset(keys.hands("e"), envelope.id, f"t {execution} l")
    client.hset(keys.ENGINES, "e", 5)
    return envelope.id


def commands(client: redis.Redis, name: str) -> int:
    return int(client.info("commandstats").get(f"cmdstat_{name}", {}).get("calls", 0))


@pytest.mark.parametrize("death", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_handler_that_ends_the_process_costs_no_other_event_a_second_run(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, death: str
) -> None:
    envelopes = [make_envelope() for _ in range(120)]
    bad = envelopes[60].id
    code = f"@on()\ndef count(event):\n    note(event.id)\n    if event.id == '{bad}' and notes.incr('bad') == 1:\n"
    write_handlers(tmp_path, f"{code}        {death}\n")
    enqueue(redis_sync, *envelopes)
    with engine(tmp_path, redis_url, "first") as first:
        assert first.wait() != 0
    before = len(calls(redis_sync))
    assert before == 61, "it has died in the middle of the batch"
    rescue_all(redis_sync)
    charged = [one.id for one in envelopes if redis_sync.hexists(keys.job(one.id), keys.KILLS)]
    assert bad in charged
    assert not set(charged) & {one.id for one in envelopes[:60]}, "who had ended is not to blame"
    with engine(tmp_path, redis_url, "second") as second:
        assert second.wait() == 0
    runs = Counter(calls(redis_sync))
    assert runs == {one.id: 2 if one.id == bad else 1 for one in envelopes}
    assert statuses(redis_sync, envelopes) == {"finished"}
    assert redis_sync.hget(keys.OUTCOMES, "processed") == b"120"
    assert not redis_sync.keys(keys.done("*"))


def test_a_lone_event_is_settled_without_a_note(redis_sync: redis.Redis, redis_url: str) -> None:
    before = commands(redis_sync, "client|reply")
    enqueue(redis_sync, make_envelope())
    assert burst(redis_url, on()(lambda event: None)) == 1
    assert commands(redis_sync, "client|reply") == before


def test_a_batch_leaves_no_notes(redis_sync: redis.Redis, redis_url: str) -> None:
    seen = []

    @on()
    def look(event: object) -> None:
        seen.append(sum(map(redis_sync.hlen, redis_sync.keys(keys.done("*")))))

    enqueue(redis_sync, *[make_envelope() for _ in range(20)])
    assert burst(redis_url, look) == 20
    assert max(seen) > 0
    assert not redis_sync.keys(keys.done("*"))


@pytest.mark.parametrize(("is_over", "charged"), [(True, False), (False, True)])
def test_what_is_noted_becomes_marks_and_only_an_ended_job_is_not_charged(
    redis_sync: redis.Redis, is_over: bool, charged: bool
) -> None:
    job_id = in_hands(redis_sync)
    journal = Journal(redis_sync, engine="e")
    journal.note(taken(job_id), DONE, is_over=is_over, keep=1000)
    journal.flush()
    journal.close()
    rescue_all(redis_sync)
    assert status(redis_sync, job_id) == "queued"
    assert redis_sync.hgetall(keys.marks(job_id)) == {b"my.handler": DONE["my.handler"].encode()}
    assert 990 < redis_sync.ttl(keys.marks(job_id)) <= 1000
    assert redis_sync.hexists(keys.job(job_id), keys.KILLS) is charged
    assert not redis_sync.exists(keys.done("e"))


def test_a_job_that_has_ended_is_no_dead_letter_however_many_workers_it_has_seen_die(redis_sync: redis.Redis) -> None:
    job_id = in_hands(redis_sync)
    redis_sync.hset(keys.job(job_id), keys.KILLS, '["signal SIGKILL","signal SIGKILL"]')
    journal = Journal(redis_sync, engine="e")
    journal.note(taken(job_id), DONE, is_over=True, keep=1000)
    journal.flush()
    rescue_all(redis_sync)
    assert status(redis_sync, job_id) == "queued"
    journal.close()


def test_a_note_of_an_earlier_execution_does_not_count(redis_sync: redis.Redis) -> None:
    job_id = in_hands(redis_sync, execution="x2")
    journal = Journal(redis_sync, engine="e")
    journal.note(taken(job_id, "x1"), DONE, is_over=True, keep=1000)
    journal.flush()
    journal.close()
    rescue_all(redis_sync)
    assert status(redis_sync, job_id) == "queued"
    assert not redis_sync.exists(keys.marks(job_id))


def test_marks_of_another_type_do_not_keep_a_job_from_its_rescue(redis_sync: redis.Redis) -> None:
    job_id = in_hands(redis_sync)
    redis_sync.set(keys.marks(job_id), "a stranger's")
    journal = Journal(redis_sync, engine="e")
    journal.note(taken(job_id), DONE, is_over=True, keep=1000)
    journal.flush()
    journal.close()
    rescue_all(redis_sync)
    assert status(redis_sync, job_id) == "queued"


def test_what_is_forgotten_before_it_was_sent_is_never_sent(redis_sync: redis.Redis) -> None:
    before = commands(redis_sync, "client|reply")
    journal = Journal(redis_sync, engine="e")
    journal.note(taken("a"), DONE, is_over=True, keep=1000)
    journal.forget(["a"])
    journal.flush()
    assert commands(redis_sync, "client|reply") == before


def test_an_outage_costs_the_notes_and_nothing_else(own_redis: RedisProcess) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        journal = Journal(client, engine="e")
        journal.note(taken("a"), DONE, is_over=True, keep=1000)
        journal.flush()
        own_redis.kill()
        for job_id in ("b", "c"):
            journal.note(taken(job_id), DONE, is_over=True, keep=1000)
            journal.flush()
        own_redis.start()
        journal.forget(["a"])  # says that Redis has answered
        journal.note(taken("d"), DONE, is_over=True, keep=1000)
        journal.flush()
        journal.close()
        assert set(client.hkeys(keys.done("e"))) == {b"d"}


def test_the_notes_of_a_killed_process_have_all_arrived(redis_sync: redis.Redis, redis_url: str) -> None:
    code = f"""
import os, redis
from tests.integration.test_worker_journal import DONE, taken
from workers.journal import Journal
journal = Journal(redis.Redis.from_url({redis_url!r}), engine="e")
for number in range(500):
    journal.note(taken(str(number)), DONE, is_over=True, keep=1000)
    journal.flush()
os.kill(os.getpid(), 9)
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert done.returncode == -9
    assert redis_sync.hlen(keys.done("e")) == 500
