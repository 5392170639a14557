"""What waits on disk gets to Redis: in order, once, whatever else lies in the file, and whoever left it."""

import json
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from ackfirst.ops.spool import command
from ackfirst.shared.queue import keys
from ackfirst.shared.spool.file import SpoolFile
from ackfirst.shared.spool.frame import Frame
from ackfirst.shared.spool.salvage import PAGE
from tests.support.factories import NOW, make_envelope
from tests.support.ingest import Ingest, running_ingest
from tests.support.redis_process import RedisProcess
from tests.support.waiting import await_until

LANE = "harbour"


def frame(number: int, **overrides: Any) -> Frame:
    envelope = make_envelope(id=f"m-{number:032x}", **{"lane": LANE, **overrides})
    return Frame(NOW + number, envelope.encode().encode())


def left_behind(data_dir: Path, frames: list[Frame], name: str = "spool-0.db") -> Path:
    """A file as a dead process leaves it."""
    folder = data_dir / "spool"
    folder.mkdir(parents=True, exist_ok=True)
    file = SpoolFile(folder / name)
    file.append(frames)
    file.close()
    return folder / name


def queued(client: redis.Redis, lane: str = LANE) -> list[int]:
    return [int(name.removeprefix(b"m-"), 16) for name in client.lrange(keys.queue(lane), 0, -1)]


async def spool(ingest: Ingest) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((await ingest.admin("/readyz")).body)["spool"]
    return state


async def test_files_of_dead_processes_are_emptied_oldest_first(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    left_behind(tmp_path, [frame(number) for number in range(3000)])
    left_behind(tmp_path, [frame(number, lane="other") for number in range(5000, 5100)], "spool-7.db")
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: len(queued(redis_sync)) == 3000 and len(queued(redis_sync, "other")) == 100)
        assert queued(redis_sync) == list(range(3000))
        await await_until(lambda: has_drained(ingest, 3100))
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        assert (await spool(ingest))["records"] == 0


async def has_set_aside(ingest: Ingest, count: int) -> bool:
    state = await spool(ingest)
    return (state["records"], state["set_aside"]) == (0, count)


async def has_drained(ingest: Ingest, count: int) -> bool:
    return f'ackfirst_spool_events_total{{step="drained"}} {count}.0'.encode() in (await ingest.admin("/metrics")).body


async def test_what_cannot_be_queued_is_set_aside_with_its_reason_and_holds_up_nobody(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    redis_sync.set(keys.queue("broken"), "no list")
    strange = [Frame(NOW, b"{}"), Frame(NOW, b"\xff"), frame(9, lane="broken")]
    left_behind(tmp_path, [frame(0), *strange, frame(1)])
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: queued(redis_sync) == [0, 1])
        await await_until(lambda: has_set_aside(ingest, 3))
        shown = CliRunner().invoke(command, ["--json"], env={"ACKFIRST_DATA_DIR": str(tmp_path)})
        text = CliRunner().invoke(command, [], env={"ACKFIRST_DATA_DIR": str(tmp_path), "COLUMNS": "100"})
    (row,) = map(json.loads, shown.stdout.splitlines())
    reasons = [aside["reason"] for aside in row["set_aside"]]
    assert (row["records"], shown.exit_code, len(reasons)) == (0, 1, 3)
    assert "version None" in reasons[0]
    assert "WRONGTYPE" in reasons[2]
    assert "spool-0.db" in text.output
    assert "WRONGTYPE" in text.output
    redis_sync.delete(keys.queue("broken"))
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)):
        await await_until(lambda: queued(redis_sync, "broken") == [9])  # tried again at the next start


async def test_a_file_damaged_in_the_middle_is_reported_and_all_whole_records_are_queued(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    path = left_behind(tmp_path, [frame(number) for number in range(1000)])
    pages = path.stat().st_size // PAGE
    with path.open("r+b") as raw:
        raw.seek(pages // 2 * PAGE)
        raw.write(b"\x00" * PAGE)
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: len(queued(redis_sync)) >= 990)
        (line,) = ingest.log.of("spool.damaged")
        await await_until(lambda: len(queued(redis_sync)) == line["salvaged"])
        assert 990 <= line["salvaged"] < 1000
        shown = CliRunner().invoke(command, ["--json"], env={"ACKFIRST_DATA_DIR": str(tmp_path)})
    assert '"kept": true' in shown.stdout


@pytest.mark.parametrize("limit", ["1", "40000"])
async def test_a_full_spool_is_503_and_room_is_used_again(own_redis: RedisProcess, limit: str, tmp_path: Path) -> None:
    async with running_ingest(own_redis.url, DATA_DIR=str(tmp_path), SPOOL_MAX_BYTES=limit) as ingest:
        own_redis.kill()
        statuses = [
            (
                await ingest.post_signed(
                    json.dumps({"channel": "sms", "message_uuid": str(n), "text": "x" * 2000}).encode()
                )
            ).status
            for n in range(40)
        ]
        accepted = statuses.count(200)
        assert statuses == [200] * accepted + [503] * (40 - accepted)
        assert (accepted > 3) == (limit == "40000")
        ready = await ingest.admin("/readyz")
        assert ready.status == 503
        assert "ACKFIRST_SPOOL_MAX_BYTES" in json.loads(ready.body)["spool"]["trouble"]
        own_redis.start()
        await await_until(lambda: is_idle(ingest))
        with own_redis.client() as client:
            assert sum(client.llen(name) for name in client.scan_iter("rq:queue:*")) == accepted


async def is_idle(ingest: Ingest) -> bool:
    state = await spool(ingest)
    return (state["records"], state["circuit"]) == (0, "closed")


async def test_a_disk_without_space_is_503_and_works_again_by_itself(own_redis: RedisProcess, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.write_text("a file where the folder should be")
    async with running_ingest(own_redis.url, DATA_DIR=str(tmp_path)) as ingest:
        own_redis.kill()
        body = json.dumps({"channel": "sms", "message_uuid": "u", "text": "x"}).encode()
        assert (await ingest.post_signed(body)).status == 503
        await await_until(lambda: ingest.log.of("spool.unusable"))
        folder.unlink()
        await await_until(lambda: ingest.log.of("spool.usable"))
        assert (await ingest.post_signed(body)).status == 200


async def test_events_go_to_disk_before_redis_is_full_and_back_when_it_is_not(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    async with running_ingest(own_redis.url, DATA_DIR=str(tmp_path)) as ingest:
        with own_redis.client() as client:
            used = client.info("memory")["used_memory"]
            client.config_set("maxmemory", int(used * 1.1))
            await await_until(lambda: ingest.log.of("circuit.opened"))
            body = json.dumps({"channel": "sms", "message_uuid": "u", "text": "x"}).encode()
            assert (await ingest.post_signed(body)).status == 200
            assert (await spool(ingest))["records"] == 1
            client.config_set("maxmemory", used * 10)
            await await_until(lambda: is_idle(ingest))
