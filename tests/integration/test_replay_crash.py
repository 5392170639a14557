"""A replay whose process is killed again and again: no event is queued twice, none is skipped."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import redis

from ackfirst.shared.queue import keys
from ackfirst.shared.store import Batch, EventFilter, open_store
from tests.support.children import children_with, kill
from tests.support.factories import NOW, make_envelope
from tests.support.handlers import write_handlers
from tests.support.jobs import OPTIONS, enqueue
from tests.support.processes import ROOT, Cli, clean_environment
from tests.support.redis_process import RedisProcess
from tests.support.replays import begin, known, record_in, write
from tests.support.waiting import wait_until

EVENTS = 2_000
MOST_KILLS = 10
#: With a whole pool, whose supervisor waits longer from one death to the next.
KILLED_EVENTS = 600
POOL_KILLS = 3


@contextmanager
def driver(redis_url: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that drives replays; killed with SIGKILL at the end."""
    command = [sys.executable, "-m", "tests.support.replay_driver", redis_url, f"sqlite:///{folder / 'record.db'}"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


HANDLER = """
@on()
def count(event):
    notes.hincrby("runs", event.id, 1)
"""
#: A handler that fails as often as it would without Redis makes the replay pause itself.
PATIENT_HANDLER = """
@on(timeout=60)
def count(event):
    while True:
        try:
            notes.hincrby("runs", event.id, 1)
        except redis.RedisError:
            time.sleep(0.05)
        else:
            return
"""


@contextmanager
def workers(redis_url: str, folder: Path, handler: str = HANDLER) -> Iterator[None]:
    write_handlers(folder, handler)
    settings = {
        "redis_url": redis_url,
        "handlers": "my_handlers",
        "retry_schedule": "0s,1s,1s",
        "data_dir": str(folder),
        "store_url": f"sqlite:///{folder / 'record.db'}",  # else the janitor trims the stream, in which the tests count
    }
    env = {f"ACKFIRST_{name.upper()}": value for name, value in settings.items()}
    # No recorder: it would trim the stream as well.
    with (
        Cli("worker", "--role", "engine", cwd=folder, env=env, name="engine"),
        Cli("worker", "--role", "janitor", cwd=folder, env=env, name="janitor"),
    ):
        yield


def queued(client: redis.Redis) -> Counter[str]:
    """How often each event was queued by a replay, according to the stream of the record."""
    lines = [line for _, fields in client.xrange(keys.RECORD) for line in orjson.loads(fields.get(b"o", b"[]"))]
    return Counter(line[0] for line in lines if line[2] == "replayed")


def record_is_ahead(position_at: float) -> Batch:
    return Batch(position=f"{int(position_at * 1000)}-0")


@pytest.mark.timeout(170)
def test_kills_at_random_moments_neither_repeat_nor_skip_an_event(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    chance = random.Random(1)
    envelopes = [make_envelope(lane=f"lane-{n % 3}", received_at=NOW + n // 7) for n in range(EVENTS)]
    kills = 0
    with record_in(tmp_path) as store, workers(redis_url, tmp_path):
        write(store, envelopes, at=NOW + EVENTS)
        replay = begin(store, EventFilter(until=NOW + EVENTS), total=EVENTS, rate=1_000.0)
        store.write(record_is_ahead(time.time() + 3600))
        while known(store, replay).state == "running" and kills < MOST_KILLS:
            with driver(redis_url, tmp_path):
                time.sleep(chance.uniform(0.02, 0.4))
            kills += 1
        with driver(redis_url, tmp_path):
            wait_until(lambda: known(store, replay).state == "done", timeout=60)
        ended = known(store, replay)
        wait_until(lambda: redis_sync.hlen("runs") == EVENTS, timeout=30)
    assert (ended.state, ended.moved, ended.skipped) == ("done", EVENTS, 0)
    assert kills > 5
    ids = {one.id for one in envelopes}
    assert queued(redis_sync) == dict.fromkeys(ids, 1)
    assert {key.decode(): int(n) for key, n in redis_sync.hgetall("runs").items()} == dict.fromkeys(ids, 1)


@pytest.mark.timeout(170)
def test_two_processes_at_once_neither_repeat_nor_skip_an_event(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    envelopes = [make_envelope(received_at=NOW + n // 7) for n in range(EVENTS)]
    with record_in(tmp_path) as store, workers(redis_url, tmp_path):
        write(store, envelopes, at=NOW + EVENTS)
        replay = begin(store, EventFilter(until=NOW + EVENTS), total=EVENTS)
        store.write(record_is_ahead(time.time() + 3600))
        with driver(redis_url, tmp_path), driver(redis_url, tmp_path):
            wait_until(lambda: known(store, replay).state == "done", timeout=120)
        wait_until(lambda: redis_sync.hlen("runs") == EVENTS, timeout=30)
    assert queued(redis_sync) == {one.id: 1 for one in envelopes}
    assert set(redis_sync.hvals("runs")) == {b"1"}


@pytest.mark.timeout(170)
def test_a_redis_that_is_killed_during_a_replay_loses_and_repeats_nothing(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    envelopes = [make_envelope(received_at=NOW + n // 7) for n in range(EVENTS)]
    with record_in(tmp_path) as store, workers(own_redis.url, tmp_path, PATIENT_HANDLER):
        write(store, envelopes, at=NOW + EVENTS)
        replay = begin(store, EventFilter(until=NOW + EVENTS), total=EVENTS)
        store.write(record_is_ahead(time.time() + 3600))
        with driver(own_redis.url, tmp_path):
            for share in (4, 2):
                wait_until(lambda share=share: known(store, replay).moved > EVENTS // share - EVENTS // 5, timeout=60)
                own_redis.kill()
                own_redis.start()
            wait_until(lambda: known(store, replay).state == "done", timeout=60)
        with own_redis.client() as client:
            wait_until(lambda: client.hlen("runs") == EVENTS, timeout=30)
            assert queued(client) == {one.id: 1 for one in envelopes}


@pytest.mark.timeout(170)
def test_a_recorder_that_is_killed_again_and_again_during_a_replay_loses_and_repeats_nothing(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    """The whole pool as an operator runs it: its recorder drives the replay, and the supervisor starts it anew."""
    chance = random.Random(3)
    envelopes = [make_envelope(lane=f"lane-{n % 3}", received_at=time.time() - 60) for n in range(KILLED_EVENTS)]
    write_handlers(tmp_path, "@on()\ndef count(event):\n    notes.hincrby('runs', event.id, 1)\n")
    env = {
        "ACKFIRST_REDIS_URL": redis_url,
        "ACKFIRST_HANDLERS": "my_handlers",
        "ACKFIRST_STORE_URL": f"sqlite:///{tmp_path / 'record.db'}",
        "ACKFIRST_DATA_DIR": str(tmp_path),
    }

    def runs() -> int:
        return sum(map(int, redis_sync.hvals("runs")))

    with Cli("worker", cwd=tmp_path, env=env) as pool:
        enqueue(redis_sync, *envelopes, options=replace(OPTIONS, is_recorded=True))
        wait_until(lambda: runs() == KILLED_EVENTS, timeout=60)
        with open_store(env["ACKFIRST_STORE_URL"], migrate=True) as store:
            everything = EventFilter(until=time.time() + 1)
            wait_until(lambda: store.count(replace(everything, state="processed")) == KILLED_EVENTS, timeout=60)
            replay = begin(store, everything, total=KILLED_EVENTS, rate=200.0)
            kills = 0
            while known(store, replay).state == "running" and kills < POOL_KILLS:
                recorder = wait_until(lambda: children_with(pool.process.pid, "recorder"), timeout=60)
                time.sleep(chance.uniform(0.2, 1.0))
                kill(*recorder)
                kills += 1
            wait_until(lambda: known(store, replay).state == "done", timeout=100)
            ended = known(store, replay)
        wait_until(lambda: runs() == 2 * KILLED_EVENTS, timeout=30)
    assert (ended.moved, ended.skipped, kills > 1) == (KILLED_EVENTS, 0, True)
    assert set(redis_sync.hvals("runs")) == {b"2"}
