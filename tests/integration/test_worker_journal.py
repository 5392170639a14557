"""What a handler that ends its process costs the others of its batch: nothing."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import redis
import structlog

from ackfirst import on
from ackfirst.shared.queue import keys
from ackfirst.workers.engine.journal import Journal, journals
from ackfirst.workers.engine.legacy import Legacies
from tests.support.factories import make_envelope
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import burst, enqueue, rescue_all, status, statuses
from tests.support.processes import ROOT, Cli
from tests.support.waiting import wait_until
from tests.unit.workers.test_journal import DONE, taken


def pool(folder: Path, url: str, name: str) -> Cli:
    return Cli("worker", cwd=folder, env={"ACKFIRST_REDIS_URL": url, "ACKFIRST_HANDLERS": "my_handlers"}, name=name)


def in_hands(client: redis.Redis, execution: str = "x1") -> str:
    """A job that the engine ``e`` runs."""
    envelope = make_envelope(lane="l")
    enqueue(client, envelope)
    client.delete(keys.queue("l"))
    client.hset(keys.job(envelope.id), mapping={"status": "started", "worker_name": "e"})
    client.hset(keys.hands("e"), envelope.id, f"t {execution} l")
    client.hset(keys.ENGINES, "e", 5)
    return envelope.id


def leave_note(folder: Path, job_id: str, *, is_over: bool = True) -> None:
    """What the engine ``e`` has left when it died."""
    with Journal(folder / "e", log=structlog.get_logger()) as journal:
        journal.note(taken(job_id), DONE, is_over=is_over, keep=1000)


DEATHS = {"exits": "os._exit(3)", "is killed": "os.kill(os.getpid(), signal.SIGKILL)"}


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
def test_a_handler_that_ends_the_process_costs_no_other_event_a_second_run(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, death: str
) -> None:
    envelopes = [make_envelope() for _ in range(300)]
    bad = envelopes[200].id
    code = f"@on()\ndef count(event):\n    note(event.id)\n    if event.id == '{bad}' and notes.incr('bad') == 1:\n"
    write_handlers(tmp_path, f"{code}        {death}\n")
    enqueue(redis_sync, *envelopes)
    with pool(tmp_path, redis_url, "pool"):
        wait_until(lambda: statuses(redis_sync, envelopes) == {"finished"}, timeout=60)
    assert Counter(calls(redis_sync)) == {one.id: 2 if one.id == bad else 1 for one in envelopes}
    assert redis_sync.hget(keys.OUTCOMES, "processed") == b"300"
    assert not redis_sync.keys(keys.done("*"))
    assert not list(journals(tmp_path / ".ackfirst", redis_url).iterdir())


def test_a_pool_that_was_killed_whole_has_left_its_notes_for_the_next_one(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    code = "@on()\ndef count(event):\n    note(event.id)\n    if notes.llen('test:calls') == 200:\n"
    write_handlers(tmp_path, f"{code}        os.kill(os.getppid(), signal.SIGKILL)\n        os.kill(os.getpid(), 9)\n")
    envelopes = [make_envelope() for _ in range(300)]
    enqueue(redis_sync, *envelopes)
    with pool(tmp_path, redis_url, "first") as first:
        first.wait()
    assert len(calls(redis_sync)) == 200
    with pool(tmp_path, redis_url, "second"):
        wait_until(lambda: statuses(redis_sync, envelopes) == {"finished"}, timeout=60)
    assert sum(runs > 1 for runs in Counter(calls(redis_sync)).values()) == 1, "the one that was running"


def test_a_batch_is_noted_while_it_runs_and_leaves_nothing(redis_sync: redis.Redis, redis_url: str) -> None:
    folder = journals(Path(redis_url.removeprefix("unix://")).parent / "data", redis_url)
    seen = []

    @on()
    def look(event: object) -> None:
        [file] = folder.iterdir()
        seen.append(file.read_bytes().count(b"\0"))

    enqueue(redis_sync, *[make_envelope() for _ in range(20)])
    assert burst(redis_url, look) == 20
    assert max(seen) > 1
    assert not list(folder.iterdir())


@pytest.mark.parametrize(("is_over", "charged"), [(True, False), (False, True)])
def test_what_is_noted_becomes_marks_and_only_an_ended_job_is_not_charged(
    redis_sync: redis.Redis, tmp_path: Path, is_over: bool, charged: bool
) -> None:
    job_id = in_hands(redis_sync)
    leave_note(tmp_path, job_id, is_over=is_over)
    rescue_all(redis_sync, tmp_path)
    assert status(redis_sync, job_id) == "queued"
    assert redis_sync.hgetall(keys.marks(job_id)) == {b"my.handler": DONE["my.handler"].encode()}
    assert 990 < redis_sync.ttl(keys.marks(job_id)) <= 1000
    assert redis_sync.hexists(keys.job(job_id), keys.KILLS) is charged
    assert not redis_sync.exists(keys.done("e"))


def test_a_job_that_has_ended_is_no_dead_letter_however_many_workers_it_has_seen_die(
    redis_sync: redis.Redis, tmp_path: Path
) -> None:
    job_id = in_hands(redis_sync)
    redis_sync.hset(keys.job(job_id), keys.KILLS, '["signal SIGKILL","signal SIGKILL"]')
    leave_note(tmp_path, job_id)
    rescue_all(redis_sync, tmp_path)
    assert status(redis_sync, job_id) == "queued"


def test_a_note_of_an_earlier_execution_does_not_count(redis_sync: redis.Redis, tmp_path: Path) -> None:
    job_id = in_hands(redis_sync, execution="x2")
    leave_note(tmp_path, job_id)
    rescue_all(redis_sync, tmp_path)
    assert status(redis_sync, job_id) == "queued"
    assert not redis_sync.exists(keys.marks(job_id))


def test_marks_of_another_type_do_not_keep_a_job_from_its_rescue(redis_sync: redis.Redis, tmp_path: Path) -> None:
    job_id = in_hands(redis_sync)
    redis_sync.set(keys.marks(job_id), "a stranger's")
    leave_note(tmp_path, job_id)
    rescue_all(redis_sync, tmp_path)
    assert status(redis_sync, job_id) == "queued"


def test_notes_that_come_after_the_burial_leave_nothing(redis_sync: redis.Redis, tmp_path: Path) -> None:
    job_id = in_hands(redis_sync)
    rescue_all(redis_sync)
    leave_note(tmp_path, job_id)
    rescue_all(redis_sync, tmp_path)
    assert not redis_sync.exists(keys.done("e"))
    assert not list(tmp_path.iterdir())


def test_the_journal_of_an_engine_that_lives_is_left_alone(redis_sync: redis.Redis, tmp_path: Path) -> None:
    code = f"""
import os, sys, structlog
from pathlib import Path
from tests.unit.workers.test_journal import DONE, taken
from ackfirst.workers.engine.journal import Journal
with Journal(Path({str(tmp_path)!r}) / "e", log=structlog.get_logger()) as journal:
    for number in range(500):
        journal.note(taken(str(number)), DONE, is_over=True, keep=1000)
    print("noted", flush=True)
    sys.stdin.read(1)
    os.kill(os.getpid(), 9)
"""
    redis_sync.hset(keys.ENGINES, "e", 5)
    redis_sync.hset(keys.hands("e"), mapping={str(number): "t x1 l" for number in range(500)})
    legacies = Legacies(redis_sync, tmp_path)
    engine = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with engine:
        assert engine.stdout
        assert engine.stdout.readline() == b"noted\n"
        legacies.hand_over(living=())
        assert not redis_sync.exists(keys.done("e"))
        engine.communicate(b"x", timeout=30)
    legacies.hand_over(living=())
    assert redis_sync.hlen(keys.done("e")) == 500, "all that was noted by the instant of the kill"
    assert not list(tmp_path.iterdir())


def test_a_full_journal_is_handed_over_and_only_what_is_in_hands(redis_sync: redis.Redis, tmp_path: Path) -> None:
    with Journal(tmp_path / "e", log=structlog.get_logger()) as journal:
        for number in range(30_000):
            journal.note(taken(str(number)), DONE, is_over=True, keep=1000)
            if number < 29_000:
                journal.forget([str(number)])
    redis_sync.hset(keys.ENGINES, "e", 5)
    redis_sync.hset(keys.hands("e"), mapping={str(number): "t x1 l" for number in range(20_000, 29_900)})
    Legacies(redis_sync, tmp_path).hand_over(living=())
    noted = set(map(int, redis_sync.hkeys(keys.done("e"))))
    assert noted <= set(range(20_000, 29_900))
    assert noted >= set(range(29_000, 29_900))
    assert not list(tmp_path.iterdir())


def test_a_journal_that_redis_does_not_take_holds_up_no_other(redis_sync: redis.Redis, tmp_path: Path) -> None:
    for engine in ("bad", "good"):
        with Journal(tmp_path / engine, log=structlog.get_logger()) as journal:
            journal.note(taken("a"), DONE, is_over=True, keep=1000)
        redis_sync.hset(keys.ENGINES, engine, 5)
        redis_sync.hset(keys.hands(engine), "a", "t x1 l")
    redis_sync.set(keys.done("bad"), "of another type")
    Legacies(redis_sync, tmp_path).hand_over(living=())
    assert redis_sync.hexists(keys.done("good"), "a")
    assert not list(tmp_path.iterdir())
