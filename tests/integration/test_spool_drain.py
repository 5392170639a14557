"""What waits on disk gets to Redis: in order, once, whatever else lies in the files, whichever process left them."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from ackfirst.ops.spool import command
from ackfirst.shared.queue import keys
from ackfirst.shared.spool.frame import Frame
from ackfirst.shared.spool.segment import damaged_paths, segment_paths
from tests.support.factories import NOW, inbound_message, make_envelope
from tests.support.ingest import Ingest, running_ingest
from tests.support.redis_process import RedisProcess
from tests.support.spooled import left_behind
from tests.support.waiting import await_until

LANE = "harbour"


def frame(number: int, **overrides: Any) -> Frame:
    envelope = make_envelope(id=f"m-{number:032x}", **{"lane": LANE, **overrides})
    return Frame(NOW + number, envelope.encode().encode())


def queued(client: redis.Redis, lane: str = LANE) -> list[int]:
    return [int(name.removeprefix(b"m-"), 16) for name in client.lrange(keys.queue(lane), 0, -1)]


def shown(data_dir: Path, *options: str) -> Result:
    return CliRunner().invoke(command, options, env={"ACKFIRST_DATA_DIR": str(data_dir), "COLUMNS": "200"})


async def spool(ingest: Ingest) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((await ingest.admin("/readyz")).body)["spool"]
    return state


async def send(ingest: Ingest, number: int, **fields: Any) -> int:
    message = inbound_message(message_uuid=f"uuid-{number}", **fields)
    return (await ingest.post_signed(json.dumps(message).encode())).status


async def test_slots_of_dead_processes_are_emptied_oldest_first(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    left_behind(tmp_path, [frame(number) for number in range(3000)])
    left_behind(tmp_path, [frame(number, lane="other") for number in range(5000, 5100)], "spool-7")
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: len(queued(redis_sync)) == 3000 and len(queued(redis_sync, "other")) == 100)
        assert queued(redis_sync) == list(range(3000))
        await await_until(lambda: has_drained(ingest, 3100))
        await await_until(lambda: not list(tmp_path.rglob("*.segment")), message="segments are deleted whole")
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        assert (await spool(ingest))["records"] == 0


async def has_set_aside(ingest: Ingest, count: int) -> bool:
    state = await spool(ingest)
    return (state["records"], state["set_aside"]) == (0, count)


async def has_drained(ingest: Ingest, count: int) -> bool:
    return f'ackfirst_spool_events_total{{step="drained"}} {count}.0'.encode() in (await ingest.admin("/metrics")).body


async def test_records_that_this_release_cannot_read_are_set_aside_and_the_rest_goes_on(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    unreadable = [Frame(NOW, b"{}"), Frame(NOW, b"\xff")]
    segment = left_behind(tmp_path, [frame(0), *unreadable, frame(1)])
    size = segment.stat().st_size
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: queued(redis_sync) == [0, 1])
        await await_until(lambda: has_set_aside(ingest, 2))
        await await_until(lambda: segment.stat().st_size < size / 3, message="only what is set aside stays on disk")
        json_lines, text = shown(tmp_path, "--json"), shown(tmp_path)
        (line,) = ingest.log.of("spool.set-aside")
    assert line["records"] == 2
    (row,) = map(json.loads, json_lines.stdout.splitlines())
    reasons = [aside["reason"] for aside in row["set_aside"]]
    assert (row["records"], json_lines.exit_code, len(reasons)) == (0, 1, 2)
    assert "version None" in reasons[0]
    assert "spool-0" in text.output
    assert "version None" in text.output
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: has_set_aside(ingest, 2), message="tried again, and kept")


async def test_a_lane_whose_key_is_of_another_type_waits_alone_and_is_queued_once_the_key_is_right(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    redis_sync.set(keys.queue("broken"), "not a list")
    left_behind(tmp_path, [frame(0), frame(9, lane="broken"), frame(1)])
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: queued(redis_sync) == [0, 1])
        await await_until(lambda: has_set_aside(ingest, 1))
        await await_until(lambda: bool(ingest.log.of("spool.refused")))
        assert "WRONGTYPE" in ingest.log.of("spool.refused")[0]["reason"]
        redis_sync.delete(keys.queue("broken"))
        await await_until(lambda: queued(redis_sync, "broken") == [9], message="without a restart")
        await await_until(lambda: has_set_aside(ingest, 0))
        await await_until(lambda: not list(tmp_path.rglob("*.segment")))


@pytest.mark.parametrize("key", [keys.LANES, keys.RQ_QUEUES, keys.BELL])
async def test_a_key_of_another_type_that_every_event_needs_is_an_outage_that_ends_by_itself(
    key: str, redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    redis_sync.set(key, "a string")
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: ingest.log.of("circuit.opened"))
        assert {await send(ingest, number) for number in range(20)} == {200}
        state = await spool(ingest)
        assert (state["records"], state["set_aside"]) == (20, 0)
        assert key in state["circuit"]
        redis_sync.delete(key)
        await await_until(lambda: is_idle(ingest))
        assert sum(redis_sync.llen(name) for name in redis_sync.scan_iter("rq:queue:*")) == 20


async def test_a_segment_damaged_in_the_middle_is_reported_and_all_whole_records_are_queued(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    path = left_behind(tmp_path, [frame(number) for number in range(1000)])
    with path.open("r+b") as raw:
        raw.seek(path.stat().st_size // 2)
        raw.write(b"\x00" * 4096)
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: len(queued(redis_sync)) >= 990)
        await await_until(lambda: ingest.log.of("spool.damaged"))
        (line,) = ingest.log.of("spool.damaged")
        assert 4096 <= line["bytes"] < 8192
        await await_until(lambda: has_drained(ingest, len(queued(redis_sync))))
        assert queued(redis_sync) == sorted(queued(redis_sync))
        assert len(queued(redis_sync)) < 1000
        await await_until(lambda: has_set_aside(ingest, 1), message="the alarm stays until the piece is deleted")
        (piece,) = damaged_paths(path.parent)
        assert piece.stat().st_size == line["bytes"]
        assert piece.name in shown(tmp_path).output
        piece.unlink()
        await await_until(lambda: has_set_aside(ingest, 0))


async def test_pieces_of_a_segment_that_is_damaged_everywhere_are_bounded_and_summed_up(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    frames = [frame(number) for number in range(1000)]
    path = left_behind(tmp_path, frames)
    with path.open("r+b") as raw:
        for at in range(100, path.stat().st_size, path.stat().st_size // 400):
            raw.seek(at)
            raw.write(b"\xff")
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: ingest.log.of("spool.damaged"))
        await await_until(lambda: not path.exists())
        lines = ingest.log.of("spool.damaged")
    assert len(lines) <= 2
    assert sum(line["places"] for line in lines) > 200
    assert len(damaged_paths(path.parent)) == 16
    assert len(queued(redis_sync)) >= 590


async def test_a_segment_that_lost_its_last_1000_bytes_is_reported(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    path = left_behind(tmp_path, [frame(number, body=b"x" * 700) for number in range(10)])
    with path.open("r+b") as raw:
        raw.truncate(path.stat().st_size - 1000)
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: queued(redis_sync) == list(range(8)))
        await await_until(lambda: ingest.log.of("spool.damaged"))
        await await_until(lambda: has_set_aside(ingest, 1))


async def test_a_segment_that_is_cut_while_its_process_has_it_open_is_reported(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    async with running_ingest(own_redis.url, DATA_DIR=str(tmp_path)) as ingest:
        own_redis.kill()
        assert {await send(ingest, number) for number in range(10)} == {200}
        (path,) = segment_paths(tmp_path / "spool" / "spool-0")
        with path.open("r+b") as raw:
            raw.truncate(path.stat().st_size - 1000)
        assert await send(ingest, 10) == 200, "in a new segment"
        own_redis.start()
        await await_until(lambda: is_idle(ingest))
        assert ingest.log.of("spool.damaged")
        with own_redis.client() as client:
            (lane,) = client.scan_iter("rq:queue:*")
            assert 8 <= client.llen(lane) < 11


@pytest.mark.parametrize("limit", ["1", "40000"])
async def test_a_full_spool_is_503_and_room_is_used_again(own_redis: RedisProcess, limit: str, tmp_path: Path) -> None:
    async with running_ingest(own_redis.url, DATA_DIR=str(tmp_path), SPOOL_MAX_BYTES=limit) as ingest:
        own_redis.kill()
        statuses = [await send(ingest, number, text="x" * 2000) for number in range(40)]
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


async def test_events_go_to_disk_before_redis_is_full_and_back_when_it_is_not(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    async with running_ingest(own_redis.url, DATA_DIR=str(tmp_path)) as ingest:
        with own_redis.client() as client:
            used = client.info("memory")["used_memory"]
            client.config_set("maxmemory", int(used * 1.1))
            await await_until(lambda: ingest.log.of("circuit.opened"))
            assert await send(ingest, 1) == 200
            assert (await spool(ingest))["records"] == 1
            client.config_set("maxmemory", used * 10)
            await await_until(lambda: is_idle(ingest))


def sqlite_spool(data_dir: Path, frames: list[Frame]) -> Path:
    """The spool of a release that kept it in SQLite, after a kill: records are still in SQLite's log."""
    path = data_dir / "spool" / "spool-0.db"
    path.parent.mkdir(parents=True)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA page_size=4096")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, frame BLOB NOT NULL)")
    db.execute("CREATE TABLE set_aside (record INTEGER PRIMARY KEY, reason TEXT NOT NULL)")
    db.executemany("INSERT INTO records (frame) VALUES (?)", [(one.pack(),) for one in frames])
    log = path.with_name("spool-0.db-wal").read_bytes()
    db.close()
    path.with_name("spool-0.db-wal").write_bytes(log)
    return path


@pytest.mark.parametrize("is_damaged", [False, True])
async def test_the_sqlite_spool_of_an_older_release_is_moved_once(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path, *, is_damaged: bool
) -> None:
    path = sqlite_spool(tmp_path, [frame(number, body=b"x" * 300) for number in range(200)])
    assert "older release" in shown(tmp_path).output
    if is_damaged:
        path.with_name("spool-0.db-wal").unlink()
        with path.open("r+b") as raw:
            raw.seek(4096)
            raw.write(b"\xa5" * 4096)  # the root of the table: SQLite finds no record any more
    async with running_ingest(redis_url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: ingest.log.of("spool.sqlite-moved"))
        await await_until(lambda: queued(redis_sync) == list(range(200)))
        assert not list(path.parent.glob("*.db*"))
