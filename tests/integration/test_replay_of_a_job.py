"""What a job that a replay has queued means to its handlers, under every kind of worker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.replay.job_field import JobReplay
from ackfirst.workers.processing.marks import Mark, State
from tests.support.factories import make_envelope
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import enqueue, status
from tests.support.processes import ROOT, run_cli

HANDLERS = """
@on(retries=0)
def plain(event, context):
    note("plain", context.replay, context.idempotency_key.removeprefix(event.id))
    if BROKEN == "plain":
        raise ValueError

@on(retries=0)
async def later(event, context):
    note("later", context.replay, context.idempotency_key.removeprefix(event.id))
"""
ENGINES = {"threads": (), "isolate": ("--isolate",)}
KINDS = [*ENGINES, "stock"]


def run(kind: str, url: str, folder: Path, *, broken: str = "") -> None:
    write_handlers(folder, f"BROKEN = {broken!r}\n{HANDLERS}")
    env = {"ACKFIRST_REDIS_URL": url, "ACKFIRST_HANDLERS": "my_handlers"}
    if kind in ENGINES:
        cli = run_cli("worker", "--burst", *ENGINES[kind], cwd=folder, env=env)
        assert cli.process.returncode == 0, cli.output[-3000:]
        return
    command = [sys.executable, "-m", "rq.cli", "worker", "--serializer", "json", "--burst", "--url", url]
    environment = {**os.environ, **env, "PYTHONPATH": str(ROOT)}
    command += ["--worker-class", "rq.worker.SimpleWorker", keys.queue_name("one")]
    ran = subprocess.run(command, check=False, env=environment, cwd=folder, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def queue(client: redis.Redis, field: JobReplay | None, **marks: Mark) -> Envelope:
    """Queue an event as a replay does."""
    envelope = make_envelope(lane="one")
    enqueue(client, envelope)
    if field:
        client.hset(keys.job(envelope.id), keys.REPLAY, field.encode())
    if marks:
        named = {f"my_handlers.{name}": mark.encode() for name, mark in marks.items()}
        client.hset(keys.marks(envelope.id), mapping=named)
    return envelope


@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_sees_which_replay_runs_it(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, kind: str
) -> None:
    queue(redis_sync, None)
    queue(redis_sync, JobReplay("r-1"))
    queue(redis_sync, JobReplay("r-2", fresh=True))
    run(kind, redis_url, tmp_path)
    assert sorted(calls(redis_sync)) == [
        "later None :my_handlers.later",
        "later r-1 :my_handlers.later",
        "later r-2 :my_handlers.later:r-2",
        "plain None :my_handlers.plain",
        "plain r-1 :my_handlers.plain",
        "plain r-2 :my_handlers.plain:r-2",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_handlers_of_the_replay_run(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, kind: str
) -> None:
    envelope = queue(redis_sync, JobReplay("r-1", ("my_handlers.later",)))
    run(kind, redis_url, tmp_path)
    assert calls(redis_sync) == ["later r-1 :my_handlers.later"]
    assert status(redis_sync, envelope.id) == "finished"


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_stays_a_dead_letter_when_its_dead_handler_is_left_out(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, kind: str
) -> None:
    envelope = queue(redis_sync, JobReplay("r-1", ("my_handlers.later",)), plain=Mark(State.DEAD, 7))
    run(kind, redis_url, tmp_path)
    assert calls(redis_sync) == ["later r-1 :my_handlers.later"]
    assert status(redis_sync, envelope.id) == "failed"


@pytest.mark.parametrize("kind", KINDS)
def test_a_requeue_after_the_replay_runs_every_dead_handler(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, kind: str
) -> None:
    envelope = queue(redis_sync, JobReplay("r-1", ("my_handlers.plain",)), later=Mark(State.DEAD, 7))
    run(kind, redis_url, tmp_path, broken="plain")
    assert status(redis_sync, envelope.id) == "failed"
    command = [sys.executable, "-m", "rq.cli", "requeue", "--serializer", "json", "--url", redis_url]
    subprocess.run([*command, "--queue", keys.queue_name("one"), envelope.id], check=True, timeout=60)
    redis_sync.zadd(keys.READY, {"one": 1})  # the janitor's work
    run(kind, redis_url, tmp_path)
    assert sorted(calls(redis_sync)[1:]) == ["later None :my_handlers.later", "plain None :my_handlers.plain"]
    assert status(redis_sync, envelope.id) == "finished"


def test_a_field_that_cannot_be_read_is_no_replay() -> None:
    for text in (None, b"", b"x", b"[]", b'{"id": 1, "handlers": null, "fresh": false}', b'{"id": "r"}'):
        assert JobReplay.decode(text) is None


@pytest.mark.parametrize("field", [JobReplay("r-1"), JobReplay("r-2", ("a", "b"), fresh=True), JobReplay("r", ())])
def test_the_field_is_read_as_it_was_written(field: JobReplay) -> None:
    assert JobReplay.decode(field.encode()) == field
