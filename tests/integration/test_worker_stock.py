"""What a stock ``rq worker`` makes of a handler that fails: the same dead letter, and no person in its output."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from ackfirst.shared.queue import keys
from tests.support.factories import inbound_message, make_envelope
from tests.support.handlers import write_handlers
from tests.support.jobs import enqueue, status
from tests.support.processes import ROOT

RQ = (sys.executable, "-m", "rq.cli", "worker", "--serializer", "json", "--burst")


@pytest.mark.parametrize("kind", ["rq.worker.Worker", "rq.worker.SimpleWorker"])
def test_a_failure_becomes_a_dead_letter_and_names_no_person(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, kind: str
) -> None:
    write_handlers(
        tmp_path,
        r"""
        @on(retries=0)
        def broken(event):
            text = event.text
            raise ValueError("half \ud83d")
        """,
    )
    envelope = make_envelope(lane="one")
    enqueue(redis_sync, envelope)
    env = {**os.environ, "ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_HANDLERS": "my_handlers", "PYTHONPATH": str(ROOT)}
    command = [*RQ, "--url", redis_url, "--worker-class", kind, keys.queue_name("one")]
    ran = subprocess.run(command, check=False, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    output = ran.stdout + ran.stderr
    assert ran.returncode == 0, output
    assert status(redis_sync, envelope.id) == "failed"
    assert "handler.failed" in output
    assert inbound_message()["from"] not in output
    assert inbound_message()["text"] not in output
