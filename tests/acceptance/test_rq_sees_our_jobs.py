"""What ingest queued is RQ's own: a stock worker runs it, and ``rq info`` shows it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.factories import LANE, inbound_message
from tests.support.processes import ROOT, Cli, clean_environment
from tests.support.stack import ingest, settings
from tests.support.waiting import wait_until

HANDLERS = """
import json, time
from pathlib import Path

from ackfirst import on


@on()
def handle(event):
    if event.text == "fail":
        raise RuntimeError("the cash desk is closed")
    if event.text == "wait":
        Path("started").touch()
        while not Path("go on").exists():
            time.sleep(0.01)
    with Path("handled.jsonl").open("a") as lines:
        lines.write(json.dumps(event.as_dict()) + "\\n")
"""

QUEUE = f"ackfirst-{LANE}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    return tmp_path


@pytest.fixture
def env(redis_url: str, folder: Path) -> dict[str, str]:
    return settings(
        redis_url, folder, ACKFIRST_HANDLERS="handlers", ACKFIRST_RETRY_SCHEDULE="1s", ACKFIRST_ACK_DEADLINE="5"
    )


@pytest.fixture
def queued(folder: Path, env: dict[str, str]) -> Iterator[None]:
    """Three callbacks that ingest answered and nobody has processed yet."""
    with ingest(folder, env) as nexmo:
        for number, text in enumerate(("one", "two", "three")):
            assert nexmo.post_json(inbound_message(message_uuid=f"id-{number}", text=text)) == 200
        yield


def rq(*args: str, folder: Path, env: dict[str, str]) -> str:
    """Output of one command of RQ's own command line."""
    result = subprocess.run(
        [sys.executable, "-m", "rq.cli", *args, "--url", env["ACKFIRST_REDIS_URL"]],
        cwd=folder,
        env=clean_environment(**env, PYTHONPATH=os.pathsep.join([str(ROOT), str(folder)])),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def handled(folder: Path) -> list[str]:
    file = folder / "handled.jsonl"
    return [json.loads(line)["text"] for line in file.read_text().splitlines()] if file.exists() else []


def test_a_stock_rq_worker_processes_what_ingest_queued(queued: None, folder: Path, env: dict[str, str]) -> None:
    rq("worker", "--burst", "--serializer", "json", QUEUE, folder=folder, env=env)
    assert sorted(handled(folder)) == ["one", "three", "two"]


def test_rq_info_shows_the_lane_and_what_waits_in_it(queued: None, folder: Path, env: dict[str, str]) -> None:
    lines = rq("info", "--raw", "--only-queues", folder=folder, env=env).splitlines()
    assert any(line.startswith(f"queue {QUEUE} 3") for line in lines), lines


def test_rq_info_shows_our_worker_busy_with_a_running_job(
    queued: None, folder: Path, env: dict[str, str], redis_sync: redis.Redis
) -> None:
    with Cli("worker", cwd=folder, env=env, name="worker"):
        wait_until(lambda: len(handled(folder)) == 3, timeout=30)
        with ingest(folder, env) as nexmo:
            nexmo.post_json(inbound_message(message_uuid="id-9", text="wait"))
            wait_until((folder / "started").exists, timeout=30)
            [worker] = [
                line
                for line in rq("info", "--raw", "--only-workers", folder=folder, env=env).splitlines()
                if line.startswith("worker")
            ]
            assert "busy" in worker
            assert QUEUE in worker
            assert redis_sync.zcard(f"rq:wip:{QUEUE}") == 1
            (folder / "go on").touch()
            wait_until(lambda: len(handled(folder)) == 4, timeout=30)


def test_a_job_that_always_fails_ends_in_rqs_failed_registry_with_its_traceback(
    folder: Path, env: dict[str, str], redis_sync: redis.Redis
) -> None:
    with ingest(folder, env) as nexmo, Cli("worker", cwd=folder, env=env, name="worker") as worker:
        nexmo.post_json(inbound_message(text="fail"))
        wait_until(lambda: redis_sync.zcard(f"rq:failed:{QUEUE}") == 1, timeout=30)
        assert worker.output.count("the cash desk is closed") >= 2, "the traceback of every attempt is logged"
    [job_id] = redis_sync.zrange(f"rq:failed:{QUEUE}", 0, -1)
    [(_, result)] = redis_sync.xrange(f"rq:results:{job_id.decode()}")
    assert result
