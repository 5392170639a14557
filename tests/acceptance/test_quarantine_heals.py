"""A wrong secret, mended: every event that came meanwhile is handled once, in order, however the recheck ends."""

import json
import random
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from ackfirst.shared.queue import keys
from tests.support.factories import LANE, inbound_message
from tests.support.handlers import calls, write_handlers
from tests.support.nexmo import Nexmo
from tests.support.parked import message, park_now
from tests.support.processes import Cli, run_cli
from tests.support.redis_process import RedisProcess
from tests.support.stack import ingest, settings, work_until_empty
from tests.support.waiting import wait_until

WRONG = "a-secret-that-nobody-signs-with"
QUEUE = keys.queue(LANE)
MANY = 800


def numbered(number: int) -> dict[str, object]:
    return inbound_message(message_uuid=f"aaaaaaaa-0000-4000-8000-{number:012d}", text=str(number))


@pytest.fixture
def env(redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The right configuration, with a handler that notes texts."""
    handlers = write_handlers(tmp_path, "@on()\ndef run(event):\n    note(event.text)\n")
    return settings(redis_url, tmp_path, ACKFIRST_HANDLERS=handlers, ACKFIRST_ACK_DEADLINE="5")


def send_all(nexmo: Nexmo, numbers: range) -> None:
    assert {nexmo.post_json(numbered(number)) for number in numbers} == {200}


def in_order(numbers: range) -> list[str]:
    return [str(number) for number in numbers]


def test_a_wrong_secret_that_is_mended_costs_nothing(
    redis_sync: redis.Redis, env: dict[str, str], tmp_path: Path
) -> None:
    numbers = range(150)  # fewer than the quarantine takes in a second
    wrong = {**env, "ACKFIRST_SIGNATURE_SECRET": WRONG}
    with ingest(tmp_path, wrong) as nexmo:
        send_all(nexmo, numbers)
        send_all(nexmo, numbers[:20])  # the provider does not know that it was heard
    assert (redis_sync.xlen(keys.QUARANTINE), redis_sync.exists(QUEUE)) == (170, 0)
    recheck = run_cli("quarantine", "recheck", cwd=tmp_path, env=env)
    assert recheck.process.returncode == 0, recheck.output
    assert redis_sync.exists(keys.QUARANTINE, keys.QUARANTINE_BYTES) == 1  # the stream stays, empty
    assert redis_sync.xlen(keys.QUARANTINE) == 0
    with ingest(tmp_path, env) as nexmo:
        send_all(nexmo, numbers[-20:])  # once more, now that they would verify at once
    work_until_empty(tmp_path, env, "--threads", "1")
    assert calls(redis_sync) == in_order(numbers)


def test_a_recheck_that_is_killed_again_and_again_queues_each_event_once(
    redis_server: RedisProcess, redis_sync: redis.Redis, env: dict[str, str], tmp_path: Path
) -> None:
    park_now(redis_server, *map(message, range(MANY)))
    chosen = random.Random(7)
    kills = 0
    for stop_at in sorted(chosen.sample(range(1, MANY), 4)):
        with Cli("quarantine", "recheck", cwd=tmp_path, env=env) as recheck:
            wait_until(lambda limit=stop_at: redis_sync.llen(QUEUE) >= limit, timeout=20)
            recheck.process.send_signal(signal.SIGKILL)
            kills += recheck.wait() == -signal.SIGKILL
        held = sum(len(key) + len(value) for _, row in redis_sync.xrange(keys.QUARANTINE) for key, value in row.items())
        assert int(redis_sync.get(keys.QUARANTINE_BYTES) or 0) == held
        assert redis_sync.llen(QUEUE) + redis_sync.xlen(keys.QUARANTINE) >= MANY
    assert kills
    assert run_cli("quarantine", "recheck", cwd=tmp_path, env=env).process.returncode == 0
    assert redis_sync.xlen(keys.QUARANTINE) == 0
    work_until_empty(tmp_path, env, "--threads", "1")
    assert calls(redis_sync) == in_order(range(MANY))


def test_two_rechecks_at_once_queue_each_event_once_and_in_order(
    redis_server: RedisProcess, redis_sync: redis.Redis, env: dict[str, str], tmp_path: Path
) -> None:
    park_now(redis_server, *map(message, range(MANY)))
    with ExitStack() as running:
        both = [
            running.enter_context(Cli("quarantine", "recheck", "--json", cwd=tmp_path, env=env, name=name))
            for name in ("one", "other")
        ]
        assert [recheck.wait() for recheck in both] == [0, 0]
    found = [json.loads(line) for recheck in both for line in recheck.output.splitlines()]
    queued = [one["event_id"] for one in found if one["outcome"] == "queued"]
    assert len(queued) == len(set(queued)) == MANY
    assert {one["outcome"] for one in found} <= {"queued", "duplicate"}
    assert not redis_sync.exists(keys.QUARANTINE_BYTES)
    work_until_empty(tmp_path, env, "--threads", "1")
    assert calls(redis_sync) == in_order(range(MANY))
