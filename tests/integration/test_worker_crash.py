"""Engines that are stopped or killed, and a Redis that goes away: no event is left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ackfirst.shared.queue import keys
from tests.support.factories import make_envelope
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import enqueue, lane_is_empty, rescue_all, status, statuses
from tests.support.processes import ROOT, Cli
from tests.support.redis_process import RedisProcess
from tests.support.waiting import wait_until


def engine(folder: Path, url: str, *, burst: bool = False, name: str = "engine", **settings: str) -> Cli:
    env = {"ACKFIRST_REDIS_URL": url, "ACKFIRST_HANDLERS": "my_handlers", "ACKFIRST_RETRY_SCHEDULE": "0s,0s"}
    env.update({f"ACKFIRST_{key.upper()}": value for key, value in settings.items()})
    args = ["worker", "--burst"] if burst else ["worker", "--role", "engine"]
    return Cli(*args, cwd=folder, env=env, name=name)


def test_sigterm_under_load_strands_nothing(redis_sync: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    write_handlers(tmp_path, "@on()\ndef count(event):\n    notes.incr('runs')\n    time.sleep(0.002)\n")
    envelopes = [make_envelope(lane=f"lane-{n % 3}") for n in range(6000)]
    enqueue(redis_sync, *envelopes)
    for number in range(5):
        before = int(redis_sync.get("runs") or 0)
        with (
            engine(tmp_path, redis_url, name=f"first-{number}") as first,
            engine(tmp_path, redis_url, name=f"second-{number}") as second,
        ):
            wait_until(lambda: redis_sync.scard("rq:workers") == 2, timeout=30)
            wait_until(lambda before=before: int(redis_sync.get("runs") or 0) > before + 20, timeout=30)
            assert (first.terminate(), second.terminate()) == (0, 0)
        for lane in range(3):
            assert redis_sync.llen(keys.intermediate(f"lane-{lane}")) == 0
            assert redis_sync.zcard(f"rq:wip:ackfirst-lane-{lane}") == 0
    waiting = sum(redis_sync.llen(keys.queue(f"lane-{lane}")) for lane in range(3))
    finished = sum(status(redis_sync, envelope.id) == "finished" for envelope in envelopes)
    assert waiting + finished == len(envelopes)
    assert finished == int(redis_sync.get("runs") or 0)


@pytest.mark.parametrize("signals", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGTERM)], ids=["once", "by two roads"])
def test_a_stop_lets_the_running_handler_finish(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, signals: tuple[signal.Signals, ...]
) -> None:
    write_handlers(tmp_path, "@on()\ndef slow(event):\n    note('in')\n    time.sleep(4)\n    note('out')\n")
    first, second = make_envelope(), make_envelope()
    enqueue(redis_sync, first, second)
    with engine(tmp_path, redis_url, threads="1") as one:
        wait_until(lambda: calls(redis_sync) == ["in"])
        for signum in signals:
            one.process.send_signal(signum)
        assert one.wait() == 0
    assert calls(redis_sync) == ["in", "out"]
    assert (status(redis_sync, first.id), status(redis_sync, second.id)) == ("finished", "queued")


def test_a_second_stop_breaks_the_handler_off_and_its_job_goes_back(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(tmp_path, "@on()\ndef endless(event, context):\n    note(context.attempt)\n    time.sleep(25)\n")
    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    with engine(tmp_path, redis_url) as one:
        wait_until(lambda: calls(redis_sync) == ["1"])
        one.process.send_signal(signal.SIGTERM)

        def again() -> bool:
            one.process.send_signal(signal.SIGTERM)
            return one.process.poll() is not None

        wait_until(again, timeout=10)
    assert status(redis_sync, envelope.id) == "queued"
    assert redis_sync.lrange(keys.queue(envelope.lane), 0, -1) == [envelope.id.encode()]
    assert not redis_sync.exists(keys.marks(envelope.id)), "not charged as an attempt"


def test_after_a_kill_only_the_unfinished_handler_runs_again(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    write_handlers(
        tmp_path,
        """
        @on()
        def first(event):
            note("first")

        @on()
        def second(event):
            note("second")
            if notes.incr("seconds") == 1:
                os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    with engine(tmp_path, redis_url) as one:
        assert one.wait() == -signal.SIGKILL
    assert calls(redis_sync) == ["first", "second"]
    rescue_all(redis_sync)
    with engine(tmp_path, redis_url, burst=True) as two:
        assert two.wait() == 0
    assert calls(redis_sync) == ["first", "second", "second"]
    assert status(redis_sync, envelope.id) == "finished"


@pytest.fixture
def restartable(own_redis: RedisProcess) -> Iterator[RedisProcess]:
    yield own_redis
    own_redis.resume()


def test_an_idle_engine_survives_a_restart_of_redis(restartable: RedisProcess, tmp_path: Path) -> None:
    write_handlers(tmp_path, "@on()\ndef run(event):\n    note('run')\n")
    with engine(tmp_path, restartable.url) as one:
        one.wait_for_output("worker.started")
        wait_until(lambda: restartable.client().scard("rq:workers") == 1)
        restartable.kill()
        one.wait_for_output("redis.unavailable")
        restartable.start()
        client = restartable.client()
        envelope = make_envelope()
        enqueue(client, envelope)
        wait_until(lambda: status(client, envelope.id) == "finished", timeout=15)
        assert one.process.poll() is None
        assert one.terminate() == 0


def test_a_handler_that_ends_while_redis_is_away_is_not_run_again(restartable: RedisProcess, tmp_path: Path) -> None:
    write_handlers(
        tmp_path,
        """
        @on()
        def slow(event):
            open("in", "a").write("x")
            while not os.path.exists("go"):
                time.sleep(0.01)
        """,
    )
    envelope = make_envelope()
    enqueue(restartable.client(), envelope)
    with engine(tmp_path, restartable.url) as one:
        wait_until((tmp_path / "in").exists)
        restartable.kill()
        (tmp_path / "go").touch()
        one.wait_for_output("redis.unavailable")
        restartable.start()
        client = restartable.client()
        wait_until(lambda: status(client, envelope.id) == "finished", timeout=15)
        assert (tmp_path / "in").read_text() == "x"
        assert lane_is_empty(client, envelope.lane)


def test_a_stock_rq_worker_runs_the_same_jobs(redis_sync: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    write_handlers(
        tmp_path,
        """
        @on()
        def steady(event):
            note("steady", event.text)

        @on()
        async def flaky(event, context):
            note("flaky", context.attempt)
            if context.attempt == 1:
                raise OSError

        @on(application="dead", retries=0)
        def dead(event):
            raise KeyError("the reason")
        """,
    )
    good, bad = make_envelope(lane="one"), make_envelope(lane="one", application_id="dead")
    enqueue(redis_sync, good, bad)
    env = {
        **os.environ,
        "ACKFIRST_REDIS_URL": redis_url,
        "ACKFIRST_HANDLERS": "my_handlers",
        "ACKFIRST_RETRY_SCHEDULE": "0s,0s",
        "PYTHONPATH": str(ROOT),
    }
    rq = [sys.executable, "-m", "rq.cli", "worker", "--url", redis_url, "--serializer", "json", "--burst"]
    subprocess.run([*rq, keys.queue_name("one")], env=env, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert statuses(redis_sync, [good]) == {"finished"}
    assert statuses(redis_sync, [bad]) == {"failed"}
    assert sorted(calls(redis_sync)) == sorted(2 * ["flaky 1", "flaky 2", "steady Moor at berth 7?"])
