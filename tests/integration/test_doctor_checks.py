"""Each finding of ``ackfirst doctor`` about this side, brought about for real; ``test_doctor_outside.py``: the rest."""

import contextlib
import errno
import sqlite3
import subprocess
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from ackfirst.ops.doctor import machine, record, redis_server
from ackfirst.ops.doctor.checks import look_over
from ackfirst.ops.doctor.configuration import (
    accounts_findings,
    files_findings,
    handlers_findings,
    secret_files_findings,
)
from ackfirst.ops.doctor.machine import disk_findings
from ackfirst.ops.doctor.quarantined import secrets_findings
from ackfirst.ops.doctor.queue import queue_findings
from ackfirst.ops.doctor.record import RecordReport, look_at_record
from ackfirst.ops.doctor.redis_server import redis_findings
from ackfirst.ops.webhooks.backup import save
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.findings import Finding
from ackfirst.shared.queue import keys
from ackfirst.shared.redis.client import async_redis
from ackfirst.shared.settings import load_settings
from ackfirst.shared.spool.frame import Frame
from ackfirst.shared.store import Gap, open_store
from ackfirst.shared.verification import Verifier
from ackfirst.shared.version import installed_version
from tests.support.factories import API_KEY, SECRET, make_envelope
from tests.support.ports import free_port
from tests.support.quarantined import message, sms
from tests.support.redis_process import RedisProcess
from tests.support.spooled import left_behind
from tests.support.waiting import wait_until

OURS = Account(api_key=API_KEY, secrets=(SECRET.encode(),))


def ids(findings: Iterable[Finding]) -> list[str]:
    return [finding.id for finding in findings]


# Configuration


def test_a_sound_configuration_has_no_findings(tmp_path: Path) -> None:
    config, data = tmp_path / "ackfirst.toml", tmp_path / "data"
    config.touch(0o600)
    data.mkdir(0o700)
    settings = load_settings(
        {"ACKFIRST_HANDLERS": "json", "ACKFIRST_CONFIG": str(config), "ACKFIRST_DATA_DIR": str(data)}
    )
    assert ids(accounts_findings(settings, Accounts([OURS]))) == []
    assert ids(files_findings(settings)) == []
    assert ids(handlers_findings(settings)) == []


def test_missing_accounts_handlers_and_short_secrets_are_found() -> None:
    settings = load_settings({})
    assert ids(accounts_findings(settings, Accounts())) == ["accounts-none", "handlers-none"]
    short = Account(api_key="abcd", secrets=(b"1234567",))
    assert ids(accounts_findings(settings, Accounts([short]))) == ["secret-short", "handlers-none"]


def test_files_that_others_may_read_are_found(tmp_path: Path) -> None:
    config, data = tmp_path / "ackfirst.toml", tmp_path / "data"
    config.touch()
    config.chmod(0o644)
    data.mkdir(0o755)
    settings = load_settings({"ACKFIRST_CONFIG": str(config), "ACKFIRST_DATA_DIR": str(data)})
    assert ids(files_findings(settings)) == ["config-open", "data-dir-open"]


def test_a_file_of_a_secret_that_everybody_may_read_is_found(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x" * 32)
    environ = {"ACKFIRST_SIGNATURE_SECRET_FILE": str(secret), "ACKFIRST_API_SECRET_FILE": str(tmp_path / "none")}
    tmp_path.chmod(0o755)
    for mode, found in ((0o644, ["secret-file-open"]), (0o440, []), (0o600, [])):
        secret.chmod(mode)
        assert ids(secret_files_findings(environ)) == found
    secret.chmod(0o644)
    tmp_path.chmod(0o700)
    assert ids(secret_files_findings(environ)) == [], "nobody else may enter the folder"


def test_copies_that_others_may_read_and_webhooks_that_point_at_a_tunnel_are_found(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    settings = load_settings({"ACKFIRST_DATA_DIR": str(tmp_path)})
    saved = save(tmp_path, kind="sms", account="abcd1234", id_="", content={}, now=datetime.now(UTC))
    assert ids(files_findings(settings)) == []
    saved.chmod(0o644)
    (tmp_path / "borrowed-webhooks.json").write_text("[]")
    assert ids(files_findings(settings)) == ["backup-open", "webhooks-borrowed"]


def test_files_that_may_not_be_looked_at_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    settings = load_settings({"ACKFIRST_DATA_DIR": str(tmp_path)})
    for name in ("stat", "glob", "iterdir"):
        monkeypatch.setattr(Path, name, refused)
    assert ids(files_findings(settings)) == []


def test_a_module_of_handlers_that_cannot_be_imported_is_named_with_its_error() -> None:
    settings = load_settings({"ACKFIRST_HANDLERS": "json,no_such_module_of_mine"})
    [finding] = handlers_findings(settings)
    assert finding.id == "handlers-import"
    assert "No module named 'no_such_module_of_mine'" in finding.what


def test_a_secret_that_confirms_nothing_in_quarantine_is_found() -> None:
    accounts = Accounts([Account(api_key=API_KEY, secrets=(b"an-old-secret-of-last-year",))])
    records = [message(number) for number in range(3)]
    [finding] = secrets_findings(accounts, records, Verifier(accounts))
    assert (finding.id, API_KEY in finding.what, "(3 looked at)" in finding.what) == ("secret-unconfirmed", True, True)


def test_a_forgery_between_callbacks_that_are_confirmed_says_nothing_of_the_secret() -> None:
    accounts = Accounts([Account(api_key=API_KEY, secrets=(b"the-secret-of-today-and-tomorrow",))])
    forged = message(1)
    for since, found in ((-10.0, []), (10.0, []), (-60.0, ["secret-unconfirmed"])):
        verified = {(API_KEY, "app"): forged.received_at + since, ("other", "app"): forged.received_at}
        assert ids(secrets_findings(accounts, [forged], Verifier(accounts), verified=verified)) == found


def test_a_quarantine_that_would_heal_is_found() -> None:
    accounts = Accounts([OURS])
    assert ids(secrets_findings(accounts, [message(1)], Verifier(accounts))) == ["quarantine-healed"]


def test_sms_that_are_signed_otherwise_or_not_at_all_are_found() -> None:
    accounts = Accounts([Account(api_key=API_KEY, secrets=(SECRET.encode(),), sms_signature_method="sha256")])
    signed_with_md5, unsigned = sms(1, secret=SECRET), sms(2)
    found = list(secrets_findings(accounts, [signed_with_md5, unsigned], Verifier(accounts)))
    assert ids(found) == ["sms-signature-method", "sms-unsigned"]
    assert f"signs for account {API_KEY} with md5hash" in found[0].what
    assert ids(secrets_findings(Accounts([OURS]), [signed_with_md5], Verifier(Accounts([OURS])))) == [
        "quarantine-healed"
    ]


# Redis


def test_a_safe_and_quick_redis_has_no_findings(own_redis: RedisProcess) -> None:
    with own_redis.client() as client:
        assert set(ids(redis_findings(client))) <= {"redis-slow", "redis-fsync-slow"}, "but for a busy machine"


@pytest.mark.parametrize(
    ("setting", "value", "id_"),
    [
        ("appendfsync", "everysec", "redis-fsync"),
        ("appendonly", "no", "redis-aof"),
        ("maxmemory-policy", "allkeys-lru", "redis-eviction"),
        ("maxmemory", "2200000", "redis-memory"),
    ],
)
def test_a_redis_that_may_lose_or_refuse_events_is_found(
    setting: str, value: str, id_: str, own_redis: RedisProcess
) -> None:
    with own_redis.client() as client:
        client.set("ballast", b"x" * 800_000)
        client.config_set(setting, value)
        assert id_ in ids(redis_findings(client))


def test_a_slow_redis_and_a_slow_disk_are_told_apart(own_redis: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    with own_redis.client() as client:
        monkeypatch.setattr(redis_server, "SLOW_WRITE_SECONDS", 0.0)
        assert "redis-fsync-slow" in ids(redis_findings(client))
        monkeypatch.setattr(redis_server, "SLOW_SECONDS", 0.0)
        assert "redis-slow" in ids(redis_findings(client))


def test_a_redis_that_takes_no_writes_is_found(own_redis: RedisProcess) -> None:
    with own_redis.client() as client:
        client.replicaof("127.0.0.1", 1)
        assert "redis-refuses-writes" in ids(redis_findings(client))


def test_a_redis_that_cannot_write_its_disk_is_found(redis_folder: Path) -> None:
    (redis_folder / "dump" / "in-the-way").mkdir(parents=True)
    server = RedisProcess(redis_folder, dbfilename="dump").start()
    with contextlib.closing(server.client()) as client, contextlib.ExitStack() as stack:
        stack.callback(server.kill)
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", timeout=10)
        assert "redis-persistence" in ids(redis_findings(client))


def test_replicas_that_are_missing_or_lag_are_found(
    own_redis: RedisProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_redis.client() as client, contextlib.ExitStack() as stack:
        assert "redis-replicas" not in ids(redis_findings(client))
        assert "redis-replicas" in ids(redis_findings(client, replicas=1))
        port = free_port()
        client.config_set("port", port)
        folder = own_redis.folder / "replica"
        folder.mkdir()
        replica = RedisProcess(folder, replicaof=f"127.0.0.1 {port}").start()
        stack.callback(replica.kill)
        wait_until(lambda: "redis-replicas" not in ids(redis_findings(client, replicas=1)), timeout=20)
        monkeypatch.setattr(redis_server, "REPLICA_LAG_SECONDS", 1)
        replica.pause()
        wait_until(lambda: "redis-replicas" in ids(redis_findings(client, replicas=0)), timeout=20)
        assert "redis-replicas" in ids(redis_findings(client, replicas=1))


# The queue


async def found_in_queue(url: str, folder: Path, *, ahead: float = 0.0, gap_events: int = 0) -> dict[str, Finding]:
    client = async_redis(url, timeout=5.0)
    settings = load_settings({"ACKFIRST_DATA_DIR": str(folder)})
    try:
        findings = await queue_findings(client, settings, now=time.time() + ahead, gap_events=gap_events)
    finally:
        await client.aclose()
    return {finding.id: finding for finding in findings}


def with_worker(client: redis.Redis, *queues: str, **fields: str) -> None:
    client.sadd(keys.RQ_WORKERS, "rq:worker:w")
    client.hset("rq:worker:w", mapping={"queues": ",".join(queues), **fields})


def waiting(client: redis.Redis, lane: str, job: str, *, since: float) -> None:
    client.sadd(keys.LANES, lane)
    client.rpush(keys.queue(lane), job)
    client.hset(keys.job(job), "enqueued_at", datetime.fromtimestamp(since, UTC).isoformat())


async def test_an_empty_queue_with_a_worker_has_no_findings(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    with_worker(redis_sync, "ackfirst-a")
    assert await found_in_queue(redis_url, tmp_path) == {}


@pytest.mark.parametrize("key", [keys.LANES, keys.LAST_CALLBACKS])
async def test_a_queue_that_cannot_be_read_is_found_beside_everything_else(
    key: str, redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    redis_sync.set(key, "a text where a set or hash belongs")
    environ = {"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_DATA_DIR": str(tmp_path), "ACKFIRST_STORE_URL": "off"}
    settings = load_settings({**environ, "ACKFIRST_ADMIN_LISTEN": "127.0.0.1:1", "ACKFIRST_LISTEN": "127.0.0.1:1"})
    looked = await look_over(settings, Accounts([OURS]), lambda _: None, environ={}, with_self_test=False)
    found = {one.id: one for one in looked}
    assert "WRONGTYPE" in found["redis-down"].what
    assert {"handlers-none", "ingest-down"} <= found.keys()


async def test_a_clock_that_differs_from_redis_is_found(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    with_worker(redis_sync, "ackfirst-a")
    for ahead, shown in ((5.0, "clock is +"), (-5.0, "clock is -")):
        assert shown in (await found_in_queue(redis_url, tmp_path, ahead=ahead))["clock-redis"].what


async def test_a_queue_without_workers_is_found(redis_sync: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    redis_sync.sadd(keys.RQ_WORKERS, "rq:worker:dead")
    waiting(redis_sync, "a", "m-1", since=time.time() - 600)
    assert list(await found_in_queue(redis_url, tmp_path)) == ["workers-none"]


async def test_a_lane_that_no_worker_serves_is_named(redis_sync: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    with_worker(redis_sync, keys.queue_name("a"))
    waiting(redis_sync, "a", "m-1", since=time.time())
    waiting(redis_sync, "b", "m-2", since=time.time() - 600)
    [finding] = (await found_in_queue(redis_url, tmp_path)).values()
    assert (finding.id, finding.what) == ("lane-unserved", "events wait in lanes that no worker serves: b")
    with_worker(redis_sync, keys.queue_name("a"), **{keys.SERVES_ALL: "1"})
    assert list(await found_in_queue(redis_url, tmp_path)) == ["lane-waits"]


async def test_a_lane_that_waits_dead_letters_rejects_and_quarantine_are_found(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    now = time.time()
    with_worker(redis_sync, keys.queue_name("a"))
    waiting(redis_sync, "a", "m-1", since=now - 61)
    week = load_settings({}).failure_ttl
    redis_sync.zadd(keys.failed("a"), {"m-2": now + week - 7200, "m-3": now + week - 60})
    redis_sync.xadd(keys.REJECTS, {"lane": "a"})
    redis_sync.xadd(keys.QUARANTINE, {"v": "1"})
    found = await found_in_queue(redis_url, tmp_path)
    assert list(found) == ["lane-waits", "dead-letters", "rejects", "quarantine"]
    assert "2 dead letters lie in a, 1 of the last hour" in found["dead-letters"].what


async def test_what_waits_on_this_disk_is_found(redis_sync: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    with_worker(redis_sync, "ackfirst-a")
    left_behind(tmp_path, [Frame(time.time(), make_envelope().encode().encode()) for _ in range(3)])
    found = await found_in_queue(redis_url, tmp_path, ahead=0.0)
    assert "3 events on disk, not queued yet" in found["spool-in-use"].what
    assert {"spool-over-age", "clock-redis"} <= set(await found_in_queue(redis_url, tmp_path, ahead=100_000.0))


async def test_workers_of_another_release_are_found(redis_sync: redis.Redis, redis_url: str, tmp_path: Path) -> None:
    with_worker(redis_sync, "ackfirst-a", **{keys.WORKER_VERSION: installed_version()})
    assert await found_in_queue(redis_url, tmp_path) == {}
    with_worker(redis_sync, "ackfirst-a", **{keys.WORKER_VERSION: "0.0.9"})
    assert "a worker runs release 0.0.9" in (await found_in_queue(redis_url, tmp_path))["version-mixed"].what


# The record


async def looked_at(url: str, folder: Path, store: str = "") -> RecordReport:
    client = async_redis(url, timeout=5.0)
    settings = load_settings({"ACKFIRST_DATA_DIR": str(folder), **({"ACKFIRST_STORE_URL": store} if store else {})})
    try:
        return await look_at_record(client, settings, now=time.time())
    finally:
        await client.aclose()


async def test_a_record_that_is_off_or_not_begun_has_no_findings(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    assert (await looked_at(redis_url, tmp_path, "off")).findings == []
    assert (await looked_at(redis_url, tmp_path)).findings == []
    redis_sync.hset(keys.RECORDER, "position", "1-0")
    assert ids((await looked_at(redis_url, tmp_path)).findings) == ["record-schema"], "it was there, and is gone"


async def test_a_store_that_does_not_answer_or_is_newer_than_we_are_is_found(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path
) -> None:
    found = await looked_at(redis_url, tmp_path, "postgresql://nobody@127.0.0.1:1/none")
    assert ids(found.findings) == ["record-unreachable"]
    redis_sync.hset(keys.RECORDER, "position", "1-0")
    open_store(f"sqlite:///{tmp_path}/record.db", migrate=True).close()
    assert (await looked_at(redis_url, tmp_path)).findings == []
    with contextlib.closing(sqlite3.connect(tmp_path / "record.db")) as database:
        database.execute("UPDATE ackfirst_schema SET version_num = '9999'")
        database.commit()
    [finding] = (await looked_at(redis_url, tmp_path)).findings
    assert (finding.id, "newer ackfirst" in finding.what) == ("record-schema", True)


async def test_gaps_and_a_backlog_of_the_record_are_found(
    redis_sync: redis.Redis, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    with open_store(f"sqlite:///{tmp_path}/elsewhere/record.db", migrate=True) as store:
        store.note_gap(Gap(now - 200, now - 100, 7, "high water"))
        store.note_gap(Gap(now - 200_000, now - 190_000, 9, "high water"))
    monkeypatch.setattr(record, "LITTLE_SPACE_BYTES", 1 << 60)
    report = await looked_at(redis_url, tmp_path, f"sqlite:///{tmp_path}/elsewhere/record.db")
    assert (ids(report.findings), report.gap_events) == (["record-disk"], 7)
    with_worker(redis_sync, "ackfirst-a")
    redis_sync.xadd(keys.RECORD, {"a": "m-1", "at": "1"}, id=f"{int((now - 350) * 1000)}-0")
    found = await found_in_queue(redis_url, tmp_path, gap_events=report.gap_events)
    assert "missing in the record: 7" in found["record-gap"].what
    assert "waiting to be recorded: 1, the oldest for 3" in found["record-behind"].what


# This machine


def test_a_folder_that_cannot_be_written_is_found(tmp_path: Path) -> None:
    assert set(ids(disk_findings(Path("/proc/ackfirst")))) == {"disk-not-writable"}
    assert "disk-not-writable" not in ids(disk_findings(tmp_path / "not" / "yet" / "made"))


def test_a_volatile_small_disk_is_found(tmp_path: Path) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmp_path], capture_output=True, check=False
    ).returncode:  # fmt: skip
        pytest.skip("this process may not mount a file system")
    try:
        assert set(ids(disk_findings(tmp_path / "data"))) - {"disk-fsync-slow"} == {"disk-space", "disk-volatile"}
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_slow_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SLOW_FSYNC_SECONDS", 0.0)
    assert "disk-fsync-slow" in ids(disk_findings(tmp_path))
