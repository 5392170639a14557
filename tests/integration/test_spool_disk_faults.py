"""Disks that are full and stay full, fail, become read-only, and folders that are taken away: on small real disks."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import redis

from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.spool.segment import segment_paths
from tests.support.factories import inbound_message
from tests.support.ingest import Ingest, running_ingest
from tests.support.redis_process import RedisProcess
from tests.support.small_disk import needs_small_disk, small_disk
from tests.support.spooled import all_frames
from tests.support.waiting import await_until


async def send(ingest: Ingest, number: int, size: int = 2000) -> int:
    message = inbound_message(message_uuid=f"uuid-{number}", text="x" * size)
    return (await ingest.post_signed(json.dumps(message).encode())).status


async def spool(ingest: Ingest) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((await ingest.admin("/readyz")).body)["spool"]
    return state


async def is_empty(ingest: Ingest) -> bool:
    state = await spool(ingest)
    return (state["records"], state["bytes"], state["circuit"]) == (0, 0, "closed")


def queued(client: redis.Redis) -> int:
    return sum(int(client.llen(name)) for name in client.scan_iter("rq:queue:*"))


async def fill_spool(ingest: Ingest) -> int:
    """Send until the disk is full; how many were acknowledged."""
    acknowledged = number = 0
    while number - acknowledged < 20:
        acknowledged += await send(ingest, number) == 200
        number += 1
        assert number < 5000
    return acknowledged


@needs_small_disk
@pytest.mark.timeout(120)
async def test_a_disk_that_stays_full_is_drained_when_redis_returns(own_redis: RedisProcess, tmp_path: Path) -> None:
    with small_disk(tmp_path / "d") as disk:
        async with running_ingest(own_redis.url, DATA_DIR=str(disk.folder)) as ingest:
            await await_until(lambda: is_empty(ingest))
            own_redis.kill()
            acknowledged = await fill_spool(ingest)
            disk.fill()
            assert acknowledged > 500
            state = await spool(ingest)
            assert "No space left on device" in state["trouble"]
            await await_until(lambda: is_unready(ingest))
            own_redis.start()
            await await_until(lambda: is_empty(ingest), message="though nothing can be written", timeout=30)
            with own_redis.client() as client:
                assert queued(client) == acknowledged
            assert not list(disk.folder.rglob("*.segment"))


@needs_small_disk
@pytest.mark.timeout(120)
async def test_an_ingest_that_starts_on_a_full_disk_drains_it_says_so_and_spools_again_when_there_is_room(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "d") as disk:
        async with running_ingest(own_redis.url, DATA_DIR=str(disk.folder)) as ingest:
            await await_until(lambda: is_empty(ingest))
            own_redis.kill()
            acknowledged = await fill_spool(ingest)
        disk.fill()
        async with running_ingest(own_redis.url, DATA_DIR=str(disk.folder)) as ingest:
            await await_until(lambda: has_records(ingest, acknowledged))
            await await_until(lambda: is_in_trouble(ingest, "No space left"))
            assert await send(ingest, 6000) == 503
            own_redis.start()
            await await_until(lambda: is_empty(ingest), timeout=30)
            disk.fill()
            own_redis.kill()
            assert await send(ingest, 6001) == 503
            disk.make_room()
            await await_until(lambda: is_usable(ingest))
            assert await send(ingest, 6002) == 200
            own_redis.start()
            await await_until(lambda: is_empty(ingest), timeout=30)
            with own_redis.client() as client:
                assert queued(client) == acknowledged + 1


async def has_records(ingest: Ingest, count: int) -> bool:
    return bool((await spool(ingest))["records"] == count)


async def is_in_trouble(ingest: Ingest, text: str) -> bool:
    return text in str((await spool(ingest))["trouble"])


async def is_unready(ingest: Ingest) -> bool:
    return (await ingest.admin("/readyz")).status == 503


async def is_usable(ingest: Ingest) -> bool:
    return (await spool(ingest))["trouble"] is None


@needs_small_disk
@pytest.mark.timeout(120)
async def test_a_read_only_disk_is_drained_says_so_and_is_used_again_when_it_can_be_written(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "d") as disk:
        async with running_ingest(own_redis.url, DATA_DIR=str(disk.folder)) as ingest:
            own_redis.kill()
            assert {await send(ingest, number) for number in range(10)} == {200}
        disk.make_read_only()
        async with running_ingest(own_redis.url, DATA_DIR=str(disk.folder)) as ingest:
            await await_until(lambda: has_records(ingest, 10))
            await await_until(lambda: is_in_trouble(ingest, "Read-only file system"))
            assert await send(ingest, 10) == 503
            own_redis.start()
            await await_until(lambda: has_records(ingest, 0))
            with own_redis.client() as client:
                assert queued(client) == 10
                calls = client.info("commandstats")["cmdstat_sadd"]["calls"]
            disk.make_writable()
            await await_until(lambda: is_empty(ingest), message="the drained segment is deleted")
            await await_until(lambda: is_usable(ingest))
            with own_redis.client() as client:
                assert client.info("commandstats")["cmdstat_sadd"]["calls"] == calls, "nothing was sent again"
            own_redis.kill()
            assert await send(ingest, 11) == 200


async def test_what_cannot_be_deleted_is_queued_once_and_deleted_later(own_redis: RedisProcess, tmp_path: Path) -> None:
    async with running_ingest(own_redis.url, DATA_DIR=str(tmp_path)) as ingest:
        own_redis.kill()
        assert {await send(ingest, number) for number in range(10)} == {200}
        with failing("unlink", errno.EROFS):
            own_redis.start()
            await await_until(lambda: has_records(ingest, 0))
            await await_until(lambda: is_in_trouble(ingest, "Read-only file system"))
            with own_redis.client() as client:
                assert queued(client) == 10
                calls = client.info("commandstats")["cmdstat_sadd"]["calls"]
            assert len(segment_paths(tmp_path / "spool" / "spool-0")) == 1
            await await_until(lambda: ingest.log.of("spool.unusable"))
        await await_until(lambda: is_empty(ingest))
        with own_redis.client() as client:
            assert client.info("commandstats")["cmdstat_sadd"]["calls"] == calls, "nothing was sent again"


@contextmanager
def failing(call: str, code: int, *, times: int = 1_000_000) -> Iterator[list[Path]]:
    """Let a system call of the spool fail; gives the files that it was called for."""
    real = getattr(os, call)
    files: list[Path] = []

    def fail(what: Any, *rest: Any) -> Any:
        path = Path(f"/proc/self/fd/{what}").readlink() if isinstance(what, int) else Path(what)
        if path.suffix == ".segment" and len(files) < times:
            files.append(path)
            raise OSError(code, os.strerror(code))
        return real(what, *rest)

    with patch.object(os, call, fail):
        yield files


@pytest.mark.parametrize(
    ("call", "code"), [("write", errno.EIO), ("fsync", errno.EIO), ("write", errno.EROFS), ("write", errno.EDQUOT)]
)
async def test_after_an_error_of_the_disk_nothing_more_is_acknowledged_from_that_file(
    call: str, code: int, own_redis: RedisProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "spool" / "spool-0"
    async with running_ingest(own_redis.url, DATA_DIR=str(tmp_path)) as ingest:
        own_redis.kill()
        assert await send(ingest, 1) == 200
        (first,) = segment_paths(folder)
        size = first.stat().st_size
        with failing(call, code, times=1) as files:
            assert await send(ingest, 2) == 200, "from a new segment"
        assert files == [first]
        assert await send(ingest, 3) == 200
        assert len(segment_paths(folder)) == 2
        assert first.stat().st_size == size
        with failing(call, code):
            assert await send(ingest, 4) == 503
            assert await is_in_trouble(ingest, os.strerror(code))
        await await_until(lambda: is_usable(ingest))
        assert messages(folder) == ["uuid-1", "uuid-2", "uuid-3"]
        own_redis.start()
        await await_until(lambda: is_empty(ingest))
        with own_redis.client() as client:
            assert queued(client) == 3


def messages(folder: Path) -> list[str | None]:
    return [Envelope.decode(frame.text.decode()).message_id for frame in all_frames(folder)]


async def test_a_segment_that_cannot_be_read_holds_up_no_other(own_redis: RedisProcess, tmp_path: Path) -> None:
    folder = tmp_path / "spool" / "spool-0"
    async with running_ingest(own_redis.url, DATA_DIR=str(tmp_path)) as ingest:
        own_redis.kill()
        assert await send(ingest, 1) == 200
        with failing("fsync", errno.EIO, times=1):
            assert await send(ingest, 2) == 200
        first, second = segment_paths(folder)
        real = os.pread

        def pread(fd: int, *rest: int) -> bytes:
            if Path(f"/proc/self/fd/{fd}").readlink() == first:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(fd, *rest)

        with patch.object(os, "pread", pread):
            own_redis.start()
            await await_until(lambda: not second.exists())
            assert (await spool(ingest))["set_aside"] == 1
            assert "Input/output error" in ingest.log.of("spool.damaged")[0]["reason"]
    async with running_ingest(own_redis.url, DATA_DIR=str(tmp_path)) as ingest:
        await await_until(lambda: not first.exists(), message="the disk reads again, after a restart")
        with own_redis.client() as client:
            assert queued(client) == 2


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def move(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


@pytest.mark.parametrize("take_away", [remove, move])
@pytest.mark.parametrize("what", ["", "spool", "spool/spool-0"])
async def test_a_folder_that_is_taken_away_while_redis_is_away_is_made_again_and_loses_nothing(
    take_away: Callable[[Path], None], what: str, own_redis: RedisProcess, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    async with running_ingest(own_redis.url, DATA_DIR=str(data)) as ingest:
        own_redis.kill()
        assert {await send(ingest, number) for number in range(20)} == {200}
        take_away(data / what)
        assert {await send(ingest, number) for number in range(20, 45)} == {200}
        (line,) = ingest.log.of("spool.moved")
        assert line["records"] == 20
        assert (await spool(ingest))["folder_moved_at"]
        found = [name for folder in (data / "spool").glob("spool-*/") for name in messages(folder)]
        assert sorted(map(str, found)) == sorted(f"uuid-{number}" for number in range(45)), "kill -9 would lose none"
        own_redis.start()
        await await_until(lambda: is_empty(ingest))
        with own_redis.client() as client:
            assert queued(client) == 45


async def test_a_folder_that_is_taken_away_is_noticed_without_a_callback(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    async with running_ingest(own_redis.url, DATA_DIR=str(tmp_path)) as ingest:
        own_redis.kill()
        assert await send(ingest, 1) == 200
        remove(tmp_path / "spool")
        await await_until(lambda: ingest.log.of("spool.moved"))
        (folder,) = (tmp_path / "spool").glob("spool-*/")
        assert messages(folder) == ["uuid-1"]


async def test_a_file_where_the_folder_should_be_is_503_and_works_again_by_itself(
    own_redis: RedisProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "spool"
    folder.write_text("a file where the folder should be")
    async with running_ingest(own_redis.url, DATA_DIR=str(tmp_path)) as ingest:
        own_redis.kill()
        assert await send(ingest, 1) == 503
        await await_until(lambda: ingest.log.of("spool.unusable"))
        folder.unlink()
        await await_until(lambda: ingest.log.of("spool.usable"))
        assert await send(ingest, 1) == 200


async def test_folders_are_for_their_owner_only(redis_url: str, tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    async with running_ingest(redis_url, DATA_DIR=str(data)):
        await await_until((data / "spool" / "spool-0").exists)
        folders = [data.parent, data, data / "spool", data / "spool" / "spool-0"]
        assert [oct(folder.stat().st_mode & 0o777) for folder in folders] == ["0o700"] * 4
