"""``ackfirst worker`` as an operator runs it."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import redis
from rq.job import Job
from rq.serializers import JSONSerializer

from ackfirst.shared.queue import keys
from tests.support.factories import make_envelope
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import enqueue, status
from tests.support.processes import Cli, clean_environment, run_cli
from tests.support.redis_process import RedisProcess
from tests.support.waiting import wait_until


def _env(url: str, **settings: str) -> dict[str, str]:
    given = {"redis_url": url, "retry_schedule": "1s,1s", "log_format": "json", "handlers": "my_handlers", **settings}
    return {f"ACKFIRST_{name.upper()}": value for name, value in given.items()}


def test_retries_and_dead_letters_need_nothing_but_the_command(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(
        tmp_path,
        """
        @on(application="flaky")
        def flaky(event, context):
            note("flaky", context.attempt)
            if context.attempt < 3:
                raise OSError("down")

        @on(application="dead")
        def dead(event, context):
            note("dead", context.attempt)
            raise KeyError("gone")
        """,
    )
    flaky = make_envelope(application_id="flaky", lane="flaky")
    dead = make_envelope(application_id="dead", lane="dead")
    with Cli("worker", "--processes", "2", cwd=tmp_path, env=_env(redis_url)) as worker:
        wait_until(lambda: redis_sync.scard("rq:workers") == 2, timeout=20)
        enqueue(redis_sync, flaky, dead)
        wait_until(lambda: status(redis_sync, flaky.id) == "finished", timeout=20)
        wait_until(lambda: status(redis_sync, dead.id) == "failed", timeout=20)
        expected = [f"{name} {attempt}" for name in ("dead", "flaky") for attempt in (1, 2, 3)]
        assert sorted(calls(redis_sync)) == expected
        Job.fetch(dead.id, connection=redis_sync, serializer=JSONSerializer).requeue()
        wait_until(lambda: len(calls(redis_sync)) == 9, timeout=20, message="requeued with a fresh budget")
        assert worker.terminate() == 0
    assert redis_sync.scard("rq:workers") == 0
    assert not redis_sync.exists(keys.JANITOR_LEASE)
    assert '"event":"event.processed"' in worker.output
    assert "447700900417" not in worker.output


def test_a_killed_engine_is_replaced(redis_sync: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    write_handlers(tmp_path, "@on()\ndef run(event):\n    note(os.getpid())\n")
    with Cli("worker", cwd=tmp_path, env=_env(redis_url)):
        enqueue(redis_sync, make_envelope())
        [first] = wait_until(lambda: calls(redis_sync), timeout=20)
        os.kill(int(first), signal.SIGKILL)
        enqueue(redis_sync, make_envelope())
        # Killed before it had told Redis of its end, the first job runs again: then there are three.
        wait_until(lambda: len(calls(redis_sync)) >= 2, timeout=20)
        assert set(calls(redis_sync)[1:]) != {first}


def test_due_retries_are_promoted_after_a_janitor_was_killed(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(
        tmp_path, "@on()\ndef flaky(event, context):\n    note(context.attempt)\n    assert context.attempt > 1\n"
    )
    envelope = make_envelope()
    with Cli("worker", cwd=tmp_path, env=_env(redis_url)) as worker:
        token = wait_until(lambda: redis_sync.get(keys.JANITOR_LEASE), timeout=20)
        os.kill(int(token.decode().split(":")[-2]), signal.SIGKILL)
        enqueue(redis_sync, envelope)
        wait_until(lambda: status(redis_sync, envelope.id) == "finished", timeout=30)
        assert calls(redis_sync) == ["1", "2"]
        assert worker.terminate() == 0


def test_engines_and_janitor_outlive_a_restart_of_redis(own_redis: RedisProcess, tmp_path: Path) -> None:
    write_handlers(
        tmp_path, "@on()\ndef flaky(event, context):\n    note(context.attempt)\n    assert context.attempt > 1\n"
    )
    envelope = make_envelope()
    with Cli("worker", cwd=tmp_path, env=_env(own_redis.url)) as worker:
        with own_redis.client() as client:
            wait_until(lambda: client.exists(keys.JANITOR_LEASE) and client.scard("rq:workers"), timeout=20)
        own_redis.kill()
        wait_until(lambda: worker.output.count("redis.unavailable") > 2, timeout=20)
        own_redis.start()
        with own_redis.client() as client:
            enqueue(client, envelope)
            wait_until(lambda: status(client, envelope.id) == "finished", timeout=30)
            assert calls(client) == ["1", "2"]
        assert "child.ended" not in worker.output, "nobody had to be restarted"
        assert worker.terminate() == 0


def test_a_burst_runs_what_waits_and_what_is_due_and_ends(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(tmp_path, "@on()\ndef run(event):\n    note(event.id)\n")
    waiting, due = make_envelope(), make_envelope()
    enqueue(redis_sync, waiting, due)
    redis_sync.lrem(keys.queue(due.lane), 0, due.id)
    redis_sync.hset(keys.job(due.id), "status", "scheduled")
    redis_sync.zadd(keys.scheduled(due.lane), {due.id: 1})
    done = run_cli("worker", "--burst", cwd=tmp_path, env=_env(redis_url))
    assert done.process.returncode == 0
    assert sorted(calls(redis_sync)) == sorted([waiting.id, due.id])


def test_a_broken_handler_module_ends_the_worker_with_one_sentence(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(tmp_path, "@on('inbound-massage')\ndef typo(event): ...\n")
    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    done = run_cli("worker", cwd=tmp_path, env=_env(redis_url))
    assert done.process.returncode == 2
    [sentence] = [line for line in done.output.splitlines() if line.startswith("ackfirst:")]
    assert "my_handlers" in sentence
    assert "inbound-massage" in sentence
    assert re.search(r"my_handlers\.py, line \d+", sentence)
    assert "ACKFIRST_HANDLERS" in sentence
    assert "Traceback" not in done.output
    assert status(redis_sync, envelope.id) == "queued"


@pytest.mark.parametrize("args", [(), ("--burst",)])
def test_without_handlers_the_worker_refuses_to_start_and_takes_nothing(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, args: tuple[str, ...]
) -> None:
    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    done = run_cli("worker", *args, cwd=tmp_path, env=_env(redis_url, handlers=""))
    assert done.process.returncode == 2
    assert "set ACKFIRST_HANDLERS" in done.output
    assert "--record-only" in done.output
    assert "Traceback" not in done.output
    assert status(redis_sync, envelope.id) == "queued"


def test_record_only_says_that_there_may_be_no_handlers(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    done = run_cli("worker", "--burst", "--record-only", cwd=tmp_path, env=_env(redis_url, handlers=""))
    assert done.process.returncode == 0
    assert "worker.record-only" in done.output
    assert '"outcome":"unhandled"' in done.output
    assert status(redis_sync, envelope.id) == "finished"
    assert redis_sync.hgetall(keys.OUTCOMES) == {b"unhandled": b"1"}


def test_a_module_without_handlers_is_named(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "undecorated.py").write_text("def note(event): pass\n")
    done = run_cli("worker", "--burst", cwd=tmp_path, env=_env(redis_url, handlers="undecorated"))
    assert done.process.returncode == 2
    assert "decorate functions in undecorated with @on()" in done.output


def test_a_name_that_no_lane_can_have_is_refused(tmp_path: Path) -> None:
    done = run_cli("worker", "--lane", "two words", cwd=tmp_path)
    assert done.process.returncode == 2
    assert "'two words' is not a lane" in done.output


def test_burst_with_several_processes_is_refused(tmp_path: Path) -> None:
    done = run_cli("worker", "--burst", "--processes", "2", cwd=tmp_path)
    assert done.process.returncode == 2
    assert "--burst works in one process" in done.output


@pytest.mark.parametrize("args", [(), ("--isolate",)])
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_the_traceback_of_a_handler_begins_at_its_own_code(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, kind: str, args: tuple[str, ...]
) -> None:
    write_handlers(tmp_path, f"@on(retries=0)\n{kind} broken(event):\n    raise KeyError('gone')\n")
    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    done = run_cli("worker", "--burst", *args, cwd=tmp_path, env=_env(redis_url))
    [line] = [json.loads(one) for one in done.output.splitlines() if '"handler.failed"' in one]
    frames = re.findall(r'File "([^"]+)"', line["exception"])
    assert frames
    assert frames[0].endswith("my_handlers.py")
    job = Job.fetch(envelope.id, connection=redis_sync, serializer=JSONSerializer)
    result = job.latest_result()
    assert result is not None
    assert re.findall(r'File "([^"]+)"', str(result.exc_string))[0].endswith("my_handlers.py")


def _group_niceness(pid: int | str) -> int:
    """The niceness of a process's session in Linux's eyes; skips the test where it does not group processes so."""
    file = Path(f"/proc/{pid}/autogroup")
    line = file.read_text() if file.exists() else ""
    if not line:
        pytest.skip("needs a Linux that groups processes by session")
    return int(line.rsplit(" ", 1)[1])


def test_an_engine_yields_the_cpu(redis_sync: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    write_handlers(tmp_path, "@on()\ndef handle(event):\n    note(os.getpid())\n")
    enqueue(redis_sync, make_envelope())
    with Cli("worker", cwd=tmp_path, env=_env(redis_url)) as worker:
        wait_until(lambda: calls(redis_sync), timeout=20)
        [engine] = calls(redis_sync)
        assert os.getpriority(os.PRIO_PROCESS, int(engine)) == 10
        assert _group_niceness(engine) == 10
        assert worker.terminate() == 0


def test_a_burst_never_slows_down_the_session_that_it_shares(redis_url: str, tmp_path: Path) -> None:
    write_handlers(tmp_path, "@on()\ndef handle(event):\n    pass\n")
    burst = [sys.executable, "-m", "ackfirst", "worker", "--burst"]
    terminal = textwrap.dedent(
        """
        import os, subprocess, sys
        subprocess.run(sys.argv[1:], check=True)
        print(os.getpid(), flush=True)
        sys.stdin.read()
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", terminal, *burst],
        cwd=tmp_path,
        env=clean_environment(**_env(redis_url)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    with process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        pid = next(line for line in lines if line.strip().isdigit())
        try:
            assert _group_niceness(int(pid)) == 0
        finally:
            process.kill()
