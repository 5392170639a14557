"""``worker --isolate``: a handler that crashes, hangs, leaks or exits ends its own process, and nothing else."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from rq.results import Result

from ackfirst.shared.queue import keys
from ackfirst.workers.engine.event_job import EventJob
from tests.support.factories import make_envelope
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import enqueue, status, statuses
from tests.support.processes import Cli, run_cli
from tests.support.supervised import is_alive
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def env_of(url: str, **settings: str) -> dict[str, str]:
    given = {"redis_url": url, "handlers": "my_handlers", "retry_schedule": "0s,0s", "log_format": "json", **settings}
    return {f"ACKFIRST_{name.upper()}": value for name, value in given.items()}


def run_burst(folder: Path, url: str, **settings: str) -> list[dict[str, Any]]:
    """Work until nothing waits; the lines of the log."""
    cli = run_cli("worker", "--burst", "--isolate", cwd=folder, env=env_of(url, **settings))
    assert cli.process.returncode == 0, cli.output[-3000:]
    return [json.loads(line) for line in cli.output.splitlines() if line.startswith("{")]


def error_of(client: redis.Redis, job_id: str) -> str:
    latest = Result.fetch_latest(EventJob(job_id, connection=client, serializer="json"))
    assert latest is not None
    return str(latest.exc_string)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("ctypes.string_at(0)", "signal SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL"),
        ("os._exit(3)", "exit code 3"),
        ("os._exit(0)", "exit code 0"),
        ("raise SystemExit(4)", "SystemExit"),
        ("os.abort()", "signal SIGABRT"),
    ],
)
def test_a_handler_that_ends_its_process_is_retried_and_then_a_dead_letter_with_the_cause(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, code: str, cause: str
) -> None:
    write_handlers(
        tmp_path,
        f"""
        import ctypes, faulthandler
        @on()
        def crash(event, context):
            note("crash", context.attempt)
            {code}
        @on()
        def steady(event):
            note("steady", os.getpid())
        """,
    )
    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    run_burst(tmp_path, redis_url, retry_schedule="0s")
    assert [one for one in calls(redis_sync) if one.startswith("crash")] == ["crash 1", "crash 2"]
    assert len([one for one in calls(redis_sync) if one.startswith("steady")]) == 1, "the other handler ran once"
    assert status(redis_sync, envelope.id) == "failed"
    assert cause in error_of(redis_sync, envelope.id)


HANGS = {
    "catches everything": """
            while True:
                try:
                    time.sleep(100)
                except BaseException:
                    pass
    """,
    "blocks the alarm": """
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
            time.sleep(100)
    """,
    "holds the interpreter in C code": """
            import ctypes
            ctypes.PyDLL(None).sleep(100)
    """,
    "leaves a child that holds the pipe": """
            if os.fork() == 0:
                time.sleep(100)
                os._exit(0)
            time.sleep(100)
    """,
}


@pytest.mark.parametrize("how", HANGS)
def test_a_handler_that_does_not_hear_its_timeout_is_killed(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, how: str
) -> None:
    head = "@on(timeout=1, retries=0)\ndef hang(event):\n        if True:\n            note(os.getpid())"
    write_handlers(tmp_path, "")
    with (tmp_path / "my_handlers.py").open("a") as file:
        file.write(head + HANGS[how])
    hung = make_envelope()
    enqueue(redis_sync, hung)
    began = time.monotonic()
    run_burst(tmp_path, redis_url)
    assert time.monotonic() - began < 30
    assert status(redis_sync, hung.id) == "failed"
    assert "longer than its timeout of 1 s" in error_of(redis_sync, hung.id)
    [pid] = calls(redis_sync)
    assert not is_alive(int(pid))


def test_what_a_handler_says_is_understood_as_without_isolation(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(
        tmp_path,
        """
        class Custom(Exception):
            def __init__(self, one, two):
                super().__init__(f"{one} and {two}")

        @on()
        def discards(event):
            raise Discard("nothing to do \\ud83d")
        @on()
        def later(event, context):
            note("later", context.attempt)
            if context.attempt == 1:
                raise RetryLater(0, "not yet")
        @on()
        async def asynchronous(event):
            await asyncio.sleep(0)
            note("async", os.getpid())
        @on(retries=1)
        def fails(event):
            raise Custom("this", "that")
        """,
    )
    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    lines = run_burst(tmp_path, redis_url)
    assert [one for one in calls(redis_sync) if one.startswith("later")] == ["later 1", "later 2"]
    last = [line for line in lines if line["event"] == "event.processed"][-1]
    assert {name.partition(".")[2]: state for name, state in last["handlers"].items()} == {
        "discards": "discarded",
        "later": "done",
        "asynchronous": "done",
        "fails": "dead",
    }
    stored = error_of(redis_sync, envelope.id)
    assert "Custom: this and that" in stored
    assert "in fails" in stored, "the traceback is the child's"


def test_a_leak_is_gone_with_the_child(redis_sync: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    write_handlers(
        tmp_path,
        """
        held = []
        def resident():
            return int(open(f"/proc/{os.getppid()}/statm").read().split()[1]) * 4096
        @on()
        def leak(event):
            held.append(b"x" * 20_000_000)
            note(resident(), len(held))
        """,
    )
    enqueue(redis_sync, *(make_envelope() for _ in range(30)))
    run_burst(tmp_path, redis_url)
    sizes = [tuple(map(int, one.split())) for one in calls(redis_sync)]
    assert len(sizes) == 30
    assert {held for _, held in sizes} == {1}
    assert sizes[-1][0] - sizes[2][0] < 20_000_000


def test_sigterm_lets_the_handler_finish_and_a_second_one_breaks_it_off(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(
        tmp_path,
        """
        @on()
        def slow(event, context):
            note("begun", os.getpid())
            time.sleep(2 if event.text == "short" else 60)
            note("ended")
        """,
    )
    with Cli("worker", "--isolate", "--role", "engine", cwd=tmp_path, env=env_of(redis_url)) as engine:
        envelope = make_envelope()
        enqueue(redis_sync, envelope)
        [begun] = wait_until(lambda: calls(redis_sync), timeout=30)
        engine.process.send_signal(signal.SIGTERM)
        time.sleep(1.2)  # nearer than that, a second signal is the same one

        def ends_after_another_one() -> bool:
            engine.process.send_signal(signal.SIGTERM)
            return engine.process.poll() is not None

        wait_until(ends_after_another_one, timeout=15)
        assert engine.process.returncode in (0, 1)
        wait_until(lambda: not is_alive(int(begun.split()[1])), timeout=5)
    assert calls(redis_sync) == [begun]
    assert status(redis_sync, envelope.id) == "queued", "it is put back"
    assert not redis_sync.exists(keys.marks(envelope.id)), "uncharged"


def test_the_child_of_a_killed_engine_dies_with_it(redis_sync: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    write_handlers(tmp_path, "@on()\ndef slow(event):\n    note(os.getpid())\n    time.sleep(60)\n")
    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    with Cli("worker", "--isolate", "--role", "engine", cwd=tmp_path, env=env_of(redis_url)) as engine:
        [child] = wait_until(lambda: calls(redis_sync), timeout=30)
        assert int(child) != engine.process.pid
        engine.process.kill()
        wait_until(lambda: not is_alive(int(child)), timeout=5)


def test_a_pool_isolates_every_engine_and_the_others_jobs_go_on(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(
        tmp_path,
        """
        @on()
        def run(event):
            note(os.getppid())
            if notes.incr("n") % 10 == 0:
                os._exit(9)
        """,
    )
    envelopes = [make_envelope(lane=f"l{number % 3}") for number in range(60)]
    with Cli("worker", "--isolate", "--processes", "2", cwd=tmp_path, env=env_of(redis_url)) as pool:
        enqueue(redis_sync, *envelopes)
        wait_until(lambda: statuses(redis_sync, envelopes) == {"finished"}, timeout=60)
        assert "child.ended" not in pool.output, "no engine died of it"
    assert not redis_sync.keys(keys.in_flight("*"))


def test_as_many_attempts_run_at_once_as_there_are_threads_and_none_suffers_from_another(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(
        tmp_path,
        """
        @on()
        def mixed(event):
            note(event.id, "in", time.monotonic())
            time.sleep(0.3)
            if event.application_id == "crash":
                os.abort()
            note(event.id, "out", time.monotonic())
        """,
    )
    crash, good = make_envelope(application_id="crash"), [make_envelope() for _ in range(11)]
    enqueue(redis_sync, crash, *good)
    run_burst(tmp_path, redis_url, retry_schedule="0s", threads="4")
    assert status(redis_sync, crash.id) == "failed"
    assert statuses(redis_sync, good) == {"finished"}
    times = [(float(when), 1 if word == "in" else -1) for _, word, when in map(str.split, calls(redis_sync))]
    together = most = 0
    for _, step in sorted(one for one in times):
        together += step
        most = max(most, together)
    assert 2 <= most <= 4 + 2, "the crashed attempts say in, and never out"


def test_a_handler_that_kills_the_fork_server_costs_its_engine_and_loses_nothing(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(
        tmp_path,
        """
        @on()
        def patricide(event):
            if notes.incr("n") == 1:
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(60)
            note(event.id)
        """,
    )
    envelopes = [make_envelope() for _ in range(20)]
    enqueue(redis_sync, *envelopes)
    with Cli("worker", "--isolate", cwd=tmp_path, env=env_of(redis_url)):
        wait_until(lambda: statuses(redis_sync, envelopes) == {"finished"}, timeout=40)
    assert {one.id for one in envelopes} == set(calls(redis_sync))


STATUS = {"channel": "sms", "to": "447700900417", "from": "12015550142", "status": "delivered"}

#: What a handler may write to the descriptors that it finds open: one of them is the way of its answer.
FORGED_ANSWERS = {
    "noise": r"b'\xff\x00\xfe' * 50",
    "deep": "b'[' * 100_000",
    "not an object": "b'[1, 2]'",
    "no end": "b'{}'",
    "a wait that is none": """b'{"end": "later", "reason": "r", "seconds": "soon"}'""",
    "a wait for ever": """b'{"end": "later", "reason": "r", "seconds": 1e999}'""",
    "a reason that is none": """b'{"end": "discard", "reason": {"a": [1]}}'""",
    "a timeout that is none": """b'{"end": "timeout", "seconds": {}}'""",
    "an error without words": r"""b'{"end": "error", "name": "a\\u0000b", "message": [], "traceback": 5}'""",
    "gigabytes": "b'x' * (1 << 20)",
}


@pytest.mark.parametrize("what", FORGED_ANSWERS)
def test_whatever_a_handler_writes_to_what_it_finds_open_the_engine_goes_on(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, what: str
) -> None:
    times = 300 if what == "gigabytes" else 1
    write_handlers(
        tmp_path,
        f"""
        import socket, stat
        @on("inbound-message", timeout=5)
        def forge(event):
            note("forge")
            for fd in range(3, 64):
                try:
                    is_socket = stat.S_ISSOCK(os.fstat(fd).st_mode)
                    if is_socket and socket.socket(fileno=os.dup(fd)).family == socket.AF_UNIX:
                        for _ in range({times}):
                            os.write(fd, {FORGED_ANSWERS[what]})
                except OSError:
                    pass
            os._exit(0)
        @on("message-status")
        def steady(event):
            note("steady", open(f"/proc/{{os.getppid()}}/status").read().count("zombie"))
        """,
    )
    forged = make_envelope()
    others = [make_envelope(family="message-status", payload={**STATUS, "message_uuid": str(n)}) for n in range(3)]
    enqueue(redis_sync, forged, *others)
    log = run_burst(tmp_path, redis_url, retry_schedule="0s")
    assert len([one for one in calls(redis_sync) if one.startswith("steady")]) == 3
    assert status(redis_sync, forged.id) in {"failed", "finished"}
    assert not [line for line in log if line["event"] in {"engine.died", "engine.exited", "job.rescued"}]
