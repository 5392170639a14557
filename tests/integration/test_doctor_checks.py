"""Each finding of ``ackfirst doctor``, brought about for real."""

import asyncio
import contextlib
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from aiohttp import web

from ackfirst.ops.doctor import machine, redis_server
from ackfirst.ops.doctor.configuration import accounts_findings, files_findings, handlers_findings, secrets_findings
from ackfirst.ops.doctor.edge import certificate_findings, ingest_findings, public_url_findings
from ackfirst.ops.doctor.machine import disk_findings
from ackfirst.ops.doctor.nexmo import nexmo_findings
from ackfirst.ops.doctor.queue import queue_findings
from ackfirst.ops.doctor.redis_server import redis_findings
from ackfirst.ops.nexmo_api import Credentials, NexmoApi
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.findings import Finding
from ackfirst.shared.queue import keys
from ackfirst.shared.redis.client import async_redis
from ackfirst.shared.settings import Address, load_settings
from ackfirst.shared.spool.frame import Frame
from ackfirst.shared.verification import Verifier
from ackfirst.simulator.nexmo_api import NexmoAccount, NexmoApis, serve
from tests.support.certificates import Authority
from tests.support.factories import API_KEY, SECRET, make_envelope
from tests.support.nexmo_apis import PUBLIC_URL
from tests.support.quarantined import message
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


def test_a_quarantine_that_would_heal_is_found() -> None:
    accounts = Accounts([OURS])
    assert ids(secrets_findings(accounts, [message(1)], Verifier(accounts))) == ["quarantine-healed"]


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


# The queue


async def found_in_queue(url: str, folder: Path, *, ahead: float = 0.0) -> dict[str, Finding]:
    client = async_redis(url, timeout=5.0)
    settings = load_settings({"ACKFIRST_DATA_DIR": str(folder)})
    try:
        findings = await queue_findings(client, settings, now=time.time() + ahead)
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
    assert "3 events wait on disk" in found["spool-in-use"].what
    assert {"spool-over-age", "clock-redis"} <= set(await found_in_queue(redis_url, tmp_path, ahead=100_000.0))


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


# The way in


@asynccontextmanager
async def served(answer: web.Response, *, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def handler(_: web.BaseRequest) -> web.Response:
        return answer

    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_an_ingest_that_does_not_answer_is_found() -> None:
    assert ids(await ingest_findings(Address("127.0.0.1", 1))) == ["ingest-down"]


async def test_what_ingest_says_of_itself_is_found() -> None:
    reason = {"id": "ingest-not-ready", "level": "error", "what": "503", "fix": "make room"}
    async with served(web.json_response({"ready": False, "reasons": [reason]}, status=503)) as port:
        [finding] = await ingest_findings(Address("127.0.0.1", port))
    assert finding.as_dict() == reason
    async with served(web.json_response({"ready": True, "reasons": []})) as port:
        assert ids(await ingest_findings(Address("127.0.0.1", port))) == []
    async with served(web.json_response({"hello": "I am no ingest"})) as port:
        assert ids(await ingest_findings(Address("127.0.0.1", port))) == ["ingest-down"]


async def test_a_public_url_that_leads_elsewhere_or_nowhere_is_found() -> None:
    async with served(web.Response(status=404)) as port:
        assert ids(await public_url_findings(f"http://127.0.0.1:{port}")) == ["edge-wrong"]
    async with served(web.Response(status=200)) as port:
        assert ids(await public_url_findings(f"http://127.0.0.1:{port}")) == []
    assert ids(await public_url_findings("http://127.0.0.1:1")) == ["edge-unreachable"]


async def test_certificates_are_judged_as_a_sender_would(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.certificate(days=30)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(authority.file))
    now = datetime.now(UTC)
    async with served(web.Response(), context=serving) as port:
        url = f"https://127.0.0.1:{port}"

        async def found(context: ssl.SSLContext | None, later: timedelta) -> list[str]:
            return ids(
                await asyncio.to_thread(lambda: list(certificate_findings(url, now=now + later, context=context)))
            )

        assert await found(trusting, timedelta()) == []
        assert await found(trusting, timedelta(days=20)) == ["tls-expires"]
        assert await found(None, timedelta()) == ["tls-invalid"]
    assert ids(certificate_findings("https://127.0.0.1:1", now=now)) == ["edge-unreachable"]
    assert ids(certificate_findings("http://hooks.example.com", now=now)) == ["tls-none"]


# Nexmo


async def found_at_nexmo(
    apis: NexmoApis, public_url: str | None = PUBLIC_URL, *, secret: str = "right", ahead: float = 0.0
) -> list[str]:
    runner, port = await serve(apis, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}"
    credentials = Credentials(api_key="abcd1234", api_secret=secret)
    try:
        async with NexmoApi(credentials, api_url=url, rest_url=url, clock=lambda: time.time() + ahead) as api:
            account = Account(api_key="abcd1234", secrets=(b"s",), api_secret=secret)
            return ids([finding async for finding in nexmo_findings(api, account, public_url)])
    finally:
        await runner.cleanup()


async def test_everything_that_is_wrong_at_nexmo_is_found() -> None:
    account = NexmoAccount(api_key="abcd1234", api_secret="right", balance=0.5)
    account.add_application("harbour", capabilities={"messages": {"webhooks": {}}})
    account.numbers = [{"msisdn": "15550001", "moHttpUrl": "https://laptop.example.com"}]
    assert await found_at_nexmo(NexmoApis(account), ahead=60) == [
        "balance-low",
        "clock-nexmo",
        *["webhook-differs"] * 4,
        "number-overrides",
    ]
    assert await found_at_nexmo(NexmoApis(account), None) == ["balance-low", "public-url-none"]
    assert await found_at_nexmo(NexmoApis(account), secret="wrong") == ["nexmo-api"]


async def test_an_account_that_is_set_for_us_has_no_findings() -> None:
    account = NexmoAccount(api_key="abcd1234", api_secret="right")
    account.settings = {
        "mo-callback-url": f"{PUBLIC_URL}/webhooks/inbound-sms",
        "dr-callback-url": f"{PUBLIC_URL}/webhooks/delivery-receipt",
    }
    assert await found_at_nexmo(NexmoApis(account)) == []
