"""A Redis that was wiped while everything runs: it is said at once, and work goes on with whatever comes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ackfirst.shared.queue import keys
from tests.support.factories import inbound_message
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import all_lanes_are_empty
from tests.support.nexmo import Nexmo
from tests.support.processes import Cli
from tests.support.redis_process import RedisProcess
from tests.support.stack import ingest, settings
from tests.support.waiting import wait_until


def flush(server: RedisProcess) -> None:
    with server.client() as client:
        client.flushall()
        client.script_flush()


def empty_volume(server: RedisProcess) -> None:
    server.kill()
    shutil.rmtree(server.folder / "appendonlydir")
    server.start()


@pytest.mark.parametrize("lose", [flush, empty_volume])
def test_a_wiped_redis_is_said_at_once_and_new_events_are_queued_and_deduplicated(
    own_redis: RedisProcess, tmp_path: Path, lose: Callable[[RedisProcess], None]
) -> None:
    write_handlers(tmp_path, "@on()\ndef run(event):\n    note(event.message_id)\n")
    env = settings(own_redis.url, tmp_path, ACKFIRST_HANDLERS="my_handlers", ACKFIRST_ACK_DEADLINE="5")

    def handled() -> list[str]:
        with own_redis.client() as client:
            return calls(client)

    with ingest(tmp_path, env) as nexmo, Cli("worker", cwd=tmp_path, env=env, name="worker") as worker:
        assert nexmo.post_json(inbound_message(message_uuid="before")) == 200
        wait_until(lambda: handled() == ["before"], timeout=30)
        with own_redis.client() as client:
            wait_until(lambda: client.get(keys.GENERATION) and int(client.get(keys.ROUNDS) or 0) > 4, timeout=20)
        wait_until((tmp_path / "data" / "redis-generation.json").exists, timeout=20)
        lose(own_redis)
        worker.wait_for_output("redis.data-lost", timeout=20)
        wait_until(lambda: "redis.data-lost" in (tmp_path / "ingest.out").read_text(), timeout=20)
        wait_until(lambda: nexmo.post_json(inbound_message(message_uuid="after")) == 200, timeout=20)
        assert nexmo.post_json(inbound_message(message_uuid="after")) == 200
        wait_until(lambda: handled() == ["after"], timeout=30)
        with own_redis.client() as client:
            wait_until(lambda: client.smembers("rq:workers"), timeout=20, message="the engine is registered again")
            assert handled() == ["after"]
            wait_until(lambda: all_lanes_are_empty(client))
        assert (tmp_path / "ingest.out").read_text().count("redis.data-lost") == 1
        assert worker.output.count("redis.data-lost") == 1


def test_data_that_went_while_ingest_was_not_there_is_said_at_its_start(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    env = settings(own_redis.url, tmp_path)
    with ingest(tmp_path, env):
        wait_until((tmp_path / "data" / "redis-generation.json").exists, timeout=20)
    flush(own_redis)
    with ingest(tmp_path, env):
        wait_until(lambda: "redis.data-lost" in (tmp_path / "ingest.out").read_text(), timeout=20)


def test_another_redis_on_purpose_is_no_loss(own_redis: RedisProcess, tmp_path: Path) -> None:
    with ingest(tmp_path, settings(own_redis.url, tmp_path)):
        wait_until((tmp_path / "data" / "redis-generation.json").exists, timeout=20)
    elsewhere = settings(f"{own_redis.url}?db=1", tmp_path)
    with ingest(tmp_path, elsewhere), own_redis.client() as client:
        client.select(1)
        wait_until(lambda: client.get(keys.GENERATION), timeout=20)
        marker = str(client.get(keys.GENERATION).decode())
        wait_until(lambda: marker in (tmp_path / "data" / "redis-generation.json").read_text(), timeout=20)
        assert "redis.data-lost" not in (tmp_path / "ingest.out").read_text()


@pytest.mark.parametrize("ingest_restarts", [False, True])
def test_a_redis_that_has_lost_its_newest_events_is_reported_with_their_number(
    own_redis: RedisProcess, tmp_path: Path, ingest_restarts: bool
) -> None:
    (log,) = (own_redis.folder / "appendonlydir").glob("*.incr.aof")
    env = settings(own_redis.url, tmp_path, ACKFIRST_ACK_DEADLINE="5")

    def reported() -> list[str]:
        output = (tmp_path / "ingest.out").read_text()
        return [line for line in output.splitlines() if "redis.data-lost" in line]

    def send(nexmo: Nexmo, numbers: range) -> None:
        assert {nexmo.post_json(inbound_message(message_uuid=f"m-{number}")) for number in numbers} == {200}

    def lose_the_end() -> None:
        own_redis.kill()
        log.write_bytes(before)
        own_redis.start()

    with ingest(tmp_path, env) as nexmo:
        send(nexmo, range(20))
        wait_until((tmp_path / "data" / "redis-generation.json").exists, timeout=20)
        before = log.read_bytes()
        send(nexmo, range(20, 50))
        if not ingest_restarts:
            lose_the_end()
            wait_until(reported, timeout=20)
            send(nexmo, range(50, 60))
    if ingest_restarts:
        lose_the_end()
        with ingest(tmp_path, env) as nexmo:
            wait_until(reported, timeout=20)
            send(nexmo, range(50, 60))
    (line,) = reported()
    assert '"kind":"rolled-back","events":30' in line


def test_events_that_come_at_once_after_the_loss_do_not_hide_it(own_redis: RedisProcess, tmp_path: Path) -> None:
    with ingest(tmp_path, settings(own_redis.url, tmp_path)) as nexmo, own_redis.client() as client:
        assert {nexmo.post_json(inbound_message(message_uuid=f"m-{number}")) for number in range(20)} == {200}
        wait_until(lambda: client.get(keys.GENERATION), timeout=20)
        client.decrby(keys.ACKNOWLEDGED, 5)
        assert {nexmo.post_json(inbound_message(message_uuid=f"n-{number}")) for number in range(20)} == {200}
        wait_until(lambda: '"rolled-back","events":5' in (tmp_path / "ingest.out").read_text(), timeout=20)
