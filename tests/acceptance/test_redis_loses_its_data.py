"""A Redis that was wiped while everything runs: it is said at once, and work goes on with whatever comes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ackfirst.shared.queue import keys
from tests.support.factories import inbound_message
from tests.support.handlers import calls, write_handlers
from tests.support.jobs import lane_is_empty
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
            assert all(lane_is_empty(client, lane.decode()) for lane in client.smembers(keys.LANES))
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


def test_a_counter_that_goes_back_is_said(own_redis: RedisProcess, tmp_path: Path) -> None:
    with ingest(tmp_path, settings(own_redis.url, tmp_path)), own_redis.client() as client:
        client.set(keys.ROUNDS, 1000)
        wait_until(lambda: client.get(keys.GENERATION), timeout=20)
        wait_until((tmp_path / "data" / "redis-generation.json").exists, timeout=20)
        seen = client.info("commandstats")["cmdstat_get"]["calls"]
        wait_until(lambda: client.info("commandstats")["cmdstat_get"]["calls"] > seen + 4, timeout=20)
        client.set(keys.ROUNDS, 900)
        wait_until(lambda: "rolled-back" in (tmp_path / "ingest.out").read_text(), timeout=20)
