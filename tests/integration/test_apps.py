"""``ackfirst apps``: what is known of applications, when one is quiet, and its deletion; each case brought about."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from aiohttp import web

from ackfirst.ops.apps import activity
from ackfirst.ops.apps.evidence import find, gather
from ackfirst.ops.apps.known import Listing, list_applications
from ackfirst.ops.apps.quiet import Evidence, State, conditions
from ackfirst.ops.apps.remove import RemovalError, remove
from ackfirst.ops.nexmo_api import NexmoApiError, api_of
from ackfirst.shared.accounts import Account, Accounts, Application
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.generation import new_marker
from ackfirst.shared.redis.client import async_redis
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.shared.spool.frame import Frame
from ackfirst.shared.store import Arrival, Batch, open_store
from tests.support.factories import API_KEY, APPLICATION, SECRET, inbound_message, make_envelope
from tests.support.ingest import running_ingest
from tests.support.jobs import enqueue
from tests.support.nexmo_apis import EVERYTHING, PUBLIC_URL, NexmoApis, Operator, nexmo, not_the_api, nothing
from tests.support.spooled import left_behind
from tests.support.waiting import await_until

DAY = 86_400.0
OTHER = "0b7c612f-52b3-4f6f-a9d8-3e0b7c612f45"


@asynccontextmanager
async def account(folder: Path, redis_url: str, **settings: str) -> AsyncIterator[tuple[NexmoApis, Operator, Settings]]:
    """Nexmo's APIs for our account, and settings that lead to them and to the queue."""
    async with nexmo(folder, api_key=API_KEY) as (apis, operator):
        environ = {**operator.settings, "ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_STORE_URL": "off"}
        environ |= {f"ACKFIRST_{name}": value for name, value in settings.items()}
        yield apis, operator, load_settings(environ)


def ours(settings: Settings, *, secret: str | None = None, **applications: str) -> Accounts:
    """Our account, with a lane for some of its applications."""
    listed = {id_: Application(id=id_, name=f"name of {id_[:4]}", lane=lane) for id_, lane in applications.items()}
    found = settings.api_secret
    api_secret = secret or (found.get_secret_value() if found else None)
    return Accounts([Account(api_key=API_KEY, secrets=(SECRET.encode(),), api_secret=api_secret, applications=listed)])


async def evidence(settings: Settings, accounts: Accounts, id_: str = APPLICATION) -> Evidence:
    client = async_redis(settings.redis_url.get_secret_value(), timeout=5.0)
    try:
        return await gather(client, settings, accounts, id_)
    finally:
        await client.aclose()


async def listing(settings: Settings, accounts: Accounts) -> Listing:
    client = async_redis(settings.redis_url.get_secret_value(), timeout=5.0)
    try:
        return await list_applications(client, settings, accounts)
    finally:
        await client.aclose()


def states(found: Evidence, *, period: float = DAY) -> dict[str, State]:
    return {one.name: one.state for one in conditions(found, period=period, now=time.time())}


def not_met(found: Evidence) -> set[str]:
    return {name for name, state in states(found).items() if state is not State.MET}


def watched_for(client: redis.Redis, seconds: float) -> None:
    client.set(keys.GENERATION, new_marker(time.time() - seconds))


def body(number: int) -> bytes:
    return json.dumps(inbound_message(message_uuid=f"uuid-{number}")).encode()


# Evidence


async def test_callbacks_of_any_verdict_and_their_events_keep_an_application_from_being_quiet(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    async with account(tmp_path, redis_url) as (apis, _, settings), running_ingest(redis_url) as ingest:
        apis.account.applications[APPLICATION] = {"id": APPLICATION, "name": "harbour"}
        await await_until(lambda: redis_sync.exists(keys.GENERATION))
        watched_for(redis_sync, 30 * DAY)
        live = settings.model_copy(update={"admin_listen": ingest.server.addresses["admin_listen"][0]})
        before = await evidence(live, ours(live))
        assert not_met(before) == set()
        await ingest.post_signed(body(1), application_id=APPLICATION)
        await ingest.post_signed(body(2), application_id=APPLICATION, secret="a-secret-of-last-year-0123456789")
        await ingest.post_signed(body(3), application_id=OTHER)
        await await_until(lambda: redis_sync.xlen(keys.QUARANTINE))
        found = await evidence(live, ours(live))
        assert not_met(found) == {"callbacks", "unconfirmed", "waiting", "quarantine"}
        assert (found.waiting, found.quarantined) == (1, 1)
        assert abs((found.last_callback or 0) - time.time()) < 60
        assert found.quarantined_at == found.last_unconfirmed


async def test_retries_and_dead_letters_of_its_own_lane_count(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    async with account(tmp_path, redis_url) as (_, _, settings):
        envelope = make_envelope()
        redis_sync.sadd(keys.LANES, envelope.lane)
        redis_sync.zadd(keys.scheduled(envelope.lane), {"m-1": time.time() + 60})
        redis_sync.zadd(keys.failed(envelope.lane), {"m-2": time.time() + 60, "m-3": time.time() + 60})
        found = await evidence(settings, ours(settings))
    assert (found.waiting, found.retrying, found.dead) == (0, 1, 2)


async def test_in_a_lane_that_applications_share_only_its_own_events_count(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = [make_envelope(lane="shared") for _ in range(3)]
    others = [make_envelope(lane="shared", application_id=OTHER) for _ in range(300)]
    enqueue(redis_sync, *mine, *others)
    redis_sync.lrem(keys.queue("shared"), 0, mine[0].id)
    redis_sync.zadd(keys.failed("shared"), {mine[0].id: time.time() + 60})
    redis_sync.lrem(keys.queue("shared"), 0, mine[1].id)
    redis_sync.zadd(keys.running("shared"), {f"{mine[1].id}:execution": time.time() + 60})
    async with account(tmp_path, redis_url) as (_, _, settings):
        accounts = ours(settings, **{APPLICATION: "shared", OTHER: "shared"})
        found = await evidence(settings, accounts)
        assert (found.waiting, found.retrying, found.dead) == (2, 0, 1)
        monkeypatch.setattr(activity, "MOST_JOBS", 100)
        found = await evidence(settings, accounts)
        assert {"waiting", "retrying", "dead"} <= not_met(found)


async def test_events_on_this_disk_count_and_without_an_ingest_it_is_not_safe(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    watched_for(redis_sync, 30 * DAY)
    async with account(tmp_path, redis_url, ADMIN_LISTEN="127.0.0.1:1") as (_, _, settings):
        frames = [
            Frame(time.time(), make_envelope(application_id=id_).encode().encode()) for id_ in (APPLICATION, OTHER)
        ]
        left_behind(settings.data_dir, frames)
        found = await evidence(settings, ours(settings))
    assert (found.spooled, found.is_ingest_up) == (1, False)
    assert not_met(found) == {"spool", "watched"}


async def test_what_an_ingest_elsewhere_has_spooled_is_not_known(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    redis_sync.zadd(keys.INGEST_PROCESSES, {"host:1": time.time()})
    redis_sync.set(keys.ingest_figures("host:1"), json.dumps({"gauges": {"spool_records": 7}}))
    async with account(tmp_path, redis_url) as (_, _, settings):
        found = await evidence(settings, ours(settings))
    assert "7 events spooled by an ingest elsewhere" in str(found.spooled)


async def test_what_is_set_at_nexmo_counts(redis_url: str, redis_sync: redis.Redis, tmp_path: Path) -> None:
    watched_for(redis_sync, 30 * DAY)
    redis_sync.hset(keys.LAST_CALLBACKS, keys.application(API_KEY, APPLICATION), str(time.time() - 100))
    async with account(tmp_path, redis_url) as (apis, _, settings):
        webhooks = {"inbound_url": {"address": f"{PUBLIC_URL}/webhooks/inbound-message?token=x"}}
        apis.account.applications[APPLICATION] = {
            "id": APPLICATION,
            "capabilities": {"messages": {"webhooks": webhooks}},
        }
        apis.account.numbers = [{"msisdn": "447700900001", "app_id": APPLICATION}, {"msisdn": "447700900002"}]
        found = await evidence(settings, ours(settings))
        assert {"numbers", "urls"} <= not_met(found)
        assert not isinstance(found.nexmo, str)
        assert found.nexmo.numbers == ("447700900001",)
        assert found.nexmo.urls == (f"{PUBLIC_URL}/webhooks/inbound-message?token=•••",)
        assert "set ACKFIRST_API_SECRET" in str((await evidence(settings, Accounts())).nexmo)


# The list


async def test_every_application_that_is_known_is_listed_once(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    envelope = make_envelope()
    enqueue(redis_sync, envelope)
    now = time.time()
    redis_sync.hset(keys.LAST_CALLBACKS, keys.application(API_KEY, APPLICATION), str(now - 60))
    redis_sync.hset(keys.LAST_CALLBACKS, keys.application(API_KEY, None), str(now - 90))
    redis_sync.hset(
        keys.LAST_UNCONFIRMED,
        mapping={
            keys.application(API_KEY, APPLICATION): str(now),
            **{f"stranger/{n}": str(now - n) for n in range(30)},
        },
    )
    async with account(tmp_path, redis_url) as (apis, _, settings):
        new = apis.account.add_application("new at Nexmo")
        found = await listing(settings, ours(settings, **{OTHER: "configured"}))
    rows = {one.id: one for one in found.applications if one.account == API_KEY}
    assert rows.keys() == {APPLICATION, "", OTHER, new}
    assert (rows[APPLICATION].held.waiting, rows[APPLICATION].is_at_nexmo) == (1, False)
    assert (rows[OTHER].lane, rows[OTHER].is_lane_shared, rows[OTHER].name) == ("configured", True, "name of 0b7c")
    assert (rows[new].name, rows[new].is_at_nexmo, rows[new].last_callback) == ("new at Nexmo", True, None)
    strangers = [one.id for one in found.applications if one.account == "stranger"]
    assert (strangers, found.left_out) == ([str(number) for number in range(20)], 10)


async def test_the_record_remembers_callbacks_that_redis_has_lost(redis_url: str, tmp_path: Path) -> None:
    async with account(tmp_path, redis_url, STORE_URL=f"sqlite:///{tmp_path}/record.db") as (_, _, settings):
        assert (await evidence(settings, ours(settings))).last_callback is None
        record_arrival(settings, at=time.time() - 500)
        found = await evidence(settings, ours(settings))
        assert found.last_callback is not None
        assert time.time() - found.last_callback < 600


def record_arrival(settings: Settings, *, at: float) -> None:
    row: dict[str, Any] = dict.fromkeys(Arrival.__slots__)
    row |= {"event_id": "m-1", "account": API_KEY, "application_id": APPLICATION, "lane": "a", "received_at": at}
    row |= {
        "family": "inbound-message",
        "encoding": "json",
        "content_type": "application/json",
        "body": b"{}",
        "query": "",
    }
    with open_store(settings.record_url or "", migrate=True) as store:
        store.write(Batch(position="1-0", arrivals=[Arrival(**row)], attempts=[], endings=[], requests=[]))


async def test_the_command_prints_the_list_and_names_an_account_that_cannot_be_asked(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    redis_sync.hset(keys.LAST_CALLBACKS, keys.application(API_KEY, "\x1b[2J"), str(time.time() - 60))
    async with account(tmp_path, redis_url) as (apis, operator, _):
        apis.account.add_application("\x1b[2J harbour")
        queue = {"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_STORE_URL": "off"}
        done = await operator.run("apps", **queue)
        assert (done.code, "\x1b[2J" in done.output, "1 min " in done.output) == (0, False, True)
        assert "harbour" in done.output
        done = await operator.run("apps", "list", "--json", **queue, ACKFIRST_API_SECRET="the-wrong-one")
        assert done.code == 1
        [row, problem] = done.output.splitlines()
        assert json.loads(row)["at_nexmo"] is None
        assert f"Nexmo could not be asked: account {API_KEY}: " in problem
        done = await operator.run("apps", "quiet", "x", ACKFIRST_REDIS_URL="redis://127.0.0.1:1")
        assert (done.code, "Redis does not answer" in done.output, "Traceback" in done.output) == (2, True, False)


# Deletion


def quiet_application(apis: NexmoApis, client: redis.Redis) -> str:
    """An application whose callbacks go elsewhere, in an installation that has watched for a month."""
    watched_for(client, 30 * DAY)
    client.zadd(keys.INGEST_PROCESSES, {"host:1": time.time()})
    client.set(keys.ingest_figures("host:1"), json.dumps({"gauges": {"spool_records": 0}}))
    return apis.account.add_application("harbour test", **EVERYTHING)


async def test_an_application_is_deleted_only_when_it_is_quiet(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    async with account(tmp_path, redis_url) as (apis, operator, _):
        queue = {"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_STORE_URL": "off"}
        id_ = quiet_application(apis, redis_sync)
        content = dict(apis.account.applications[id_])
        redis_sync.hset(keys.LAST_CALLBACKS, keys.application(API_KEY, id_), str(time.time() - 3600))
        quiet = await operator.run("apps", "quiet", id_, **queue)
        assert (quiet.code, "wait until" in quiet.output) == (1, True)
        done = await operator.run("apps", "delete", id_, "--yes", **queue)
        assert done.code == 1
        assert f"not deleted: {id_} is not quiet (callbacks)" in done.output
        assert id_ in apis.account.applications

        done = await operator.run("apps", "delete", id_, "--for", "30m", **queue)
        assert (done.code, "there is no terminal to ask; say --yes" in done.output) == (1, True)
        assert [method for method, _ in apis.requests if method == "DELETE"] == []

        quiet = await operator.run("apps", "quiet", id_, "--for", "30m", "--json", **queue)
        assert quiet.code == 0, quiet.output
        rows = [json.loads(line) for line in quiet.output.splitlines()]
        assert {row["state"] for row in rows} == {"met"}
        done = await operator.run("apps", "delete", id_, "--for", "30m", "--yes", **queue)
        assert done.code == 0, done.output
        assert id_ not in apis.account.applications
        [saved] = operator.backups()
        assert saved.stat().st_mode & 0o777 == 0o600
        assert {**json.loads(saved.read_text())["content"], "_links": 0} == {**content, "_links": 0}

        done = await operator.run("apps", "delete", id_, "--force", "--yes", **queue)
        assert (done.code, "no account of ours has application" in done.output) == (1, True)


async def test_force_deletes_what_is_not_quiet(redis_url: str, redis_sync: redis.Redis, tmp_path: Path) -> None:
    async with account(tmp_path, redis_url) as (apis, operator, _):
        id_ = quiet_application(apis, redis_sync)
        redis_sync.hset(keys.LAST_UNCONFIRMED, keys.application(API_KEY, id_), str(time.time()))
        queue = {"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_STORE_URL": "off"}
        done = await operator.run("apps", "delete", id_, "--force", "--yes", **queue)
        assert (done.code, id_ in apis.account.applications) == (0, False)
        assert "not met  unconfirmed" in done.output


async def test_watching_ends_when_the_application_is_quiet(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    async with account(tmp_path, redis_url) as (apis, operator, _):
        id_ = quiet_application(apis, redis_sync)
        redis_sync.zadd(keys.failed(f"{API_KEY}.{id_}"), {"m-1": time.time() + 60})
        queue = {"ACKFIRST_REDIS_URL": redis_url, "ACKFIRST_STORE_URL": "off"}
        watch = asyncio.create_task(operator.run("apps", "quiet", id_, "--watch", "--every", "1s", **queue))
        await await_until(lambda: "GET" in [method for method, _ in apis.requests], timeout=60)
        assert not watch.done()
        redis_sync.delete(keys.failed(f"{API_KEY}.{id_}"))
        done = await asyncio.wait_for(watch, 90)
    assert done.code == 0
    assert done.output.count("quiet: it can be deleted") == 1


async def removed(settings: Settings, id_: str) -> Path:
    accounts = ours(settings)
    found = await find(settings, accounts, id_)
    assert found is not None
    async with api_of(settings, found.account) as api:
        return await remove(api, found, data_dir=settings.data_dir, now=lambda: datetime.now(UTC))


async def test_an_application_that_changed_meanwhile_is_left_alone(redis_url: str, tmp_path: Path) -> None:
    async with account(tmp_path, redis_url) as (apis, _, settings):
        id_ = apis.account.add_application("harbour")

        async def rename(_: web.Request) -> None:
            apis.account.applications[id_]["name"] = "renamed by a colleague"

        apis.hooks.extend([nothing, rename])
        with pytest.raises(RemovalError, match="changed by someone else just now, and was not deleted"):
            await removed(settings, id_)
        assert id_ in apis.account.applications

        async def gone(_: web.Request) -> None:
            apis.account.applications.clear()

        apis.hooks.extend([nothing, gone])
        with pytest.raises(RemovalError, match="deleted by someone else just now"):
            await removed(settings, id_)


async def test_a_lost_answer_to_a_deletion_is_told_apart_by_looking(redis_url: str, tmp_path: Path) -> None:
    async with account(tmp_path, redis_url) as (apis, _, settings):
        id_ = apis.account.add_application("harbour")

        async def lost(_: web.Request) -> web.StreamResponse:
            return web.Response(status=502, text="<html>Bad gateway</html>")

        async def done_but_lost(_: web.Request) -> web.StreamResponse:
            del apis.account.applications[id_]
            return web.Response(status=502, text="<html>Bad gateway</html>")

        apis.hooks.extend([nothing, nothing, lost])
        with pytest.raises(RemovalError, match=r"is still there .*answered 502.*Its state is in /"):
            await removed(settings, id_)
        apis.hooks.extend([nothing, nothing, lost, lost, lost, lost])
        with pytest.raises(RemovalError, match=r"could not be looked at again .*Check with: ackfirst apps list"):
            await removed(settings, id_)
        apis.hooks.extend([nothing, nothing, lost, not_the_api])
        with pytest.raises(RemovalError, match=r"could not be looked at again .*this address has no such API"):
            await removed(settings, id_)
        apis.hooks.extend([nothing, nothing, done_but_lost])
        assert (await removed(settings, id_)).exists()


async def test_a_deletion_whose_connection_ends_is_not_sent_again(redis_url: str, tmp_path: Path) -> None:
    async with account(tmp_path, redis_url) as (apis, _, settings):
        id_ = apis.account.add_application("harbour")

        async def done_but_hung_up(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            del apis.account.applications[id_]
            request.transport.abort()
            return web.Response()

        apis.hooks.extend([nothing, nothing, done_but_hung_up])
        assert (await removed(settings, id_)).exists()
        assert [method for method, _ in apis.requests].count("DELETE") == 1


@pytest.mark.parametrize(
    ("status", "headers", "sentence"),
    [
        (401, {}, "answered 401: check ACKFIRST_API_KEY and ACKFIRST_API_SECRET.*Nothing was deleted"),
        (403, {}, "answered 403: this API key may not do that.*Nothing was deleted"),
        (429, {"Retry-After": "1800"}, "limits the rate of requests .429.: try again in 1800 s. Nothing was deleted"),
        (404, {}, "answered 404: this address has no such API.*another region.*Nothing was deleted"),
    ],
)
async def test_a_refused_deletion_is_one_sentence_and_changes_nothing(
    redis_url: str, tmp_path: Path, status: int, headers: dict[str, str], sentence: str
) -> None:
    async with account(tmp_path, redis_url) as (apis, _, settings):
        id_ = apis.account.add_application("harbour")

        async def refuse(_: web.Request) -> web.StreamResponse:
            return web.Response(status=status, headers=headers, text="<html>no</html>")

        apis.hooks.extend([nothing, nothing, refuse])
        with pytest.raises(NexmoApiError, match=sentence):
            await removed(settings, id_)
        assert id_ in apis.account.applications


async def test_without_nexmo_nothing_is_deleted_and_quiet_is_not_known(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    watched_for(redis_sync, 30 * DAY)
    async with account(tmp_path, redis_url, NEXMO_API_URL="http://127.0.0.1:1") as (_, _, settings):
        with pytest.raises(NexmoApiError, match="cannot be reached"):
            await find(settings, ours(settings), APPLICATION)
        found = await evidence(settings, ours(settings))
    assert states(found)["urls"] is State.UNKNOWN


async def test_an_application_that_was_not_found_may_be_of_an_account_that_cannot_be_asked(
    redis_url: str, redis_sync: redis.Redis, tmp_path: Path
) -> None:
    watched_for(redis_sync, 30 * DAY)
    redis_sync.hset(keys.LAST_CALLBACKS, keys.application("efgh5678", APPLICATION), str(time.time() - 2 * DAY))
    async with account(tmp_path, redis_url) as (apis, _, settings):
        both = Accounts([*ours(settings), Account(api_key="efgh5678", secrets=(SECRET.encode(),))])
        found = await evidence(settings, both)
        assert states(found)["urls"] is State.UNKNOWN
        assert "set api_secret of efgh5678" in str(found.nexmo)

        apis.hooks.append(not_the_api)
        found = await evidence(settings, ours(settings))
        assert states(found)["urls"] is State.UNKNOWN
        assert "this address has no such API" in str(found.nexmo)
