"""The admin port: metrics of this process and of the queue, readiness, and labels that no sender can choose."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from ackfirst.ingest.limits import IngestLimits
from ackfirst.ingest.metrics import forget_dead_processes
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.queue import keys
from tests.support.factories import API_KEY, LANE, SECRET, inbound_message
from tests.support.ingest import Ingest, running_ingest
from tests.support.waiting import await_until

BODY = json.dumps(inbound_message()).encode()


async def samples(ingest: Ingest) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = (await ingest.admin("/metrics")).body.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_callbacks_are_counted_by_family_and_verdict(redis_url: str) -> None:
    async with running_ingest(redis_url, ACK_DEADLINE="30") as ingest:  # in the spool, a duplicate is not known as one
        await ingest.post_signed(BODY)
        await ingest.post_signed(BODY)
        await ingest.send("GET")
        await ingest.send("GET", "/nowhere")
        found = await samples(ingest)
    labels = (("family", "inbound-message"), ("verdict", "verified"))
    assert found["ackfirst_callbacks_total", labels] == 1
    assert found["ackfirst_callbacks_total", (("family", "none"), ("verdict", "probe"))] == 1
    assert found["ackfirst_refused_requests_total", (("reason", "not-found"),)] == 1
    assert found["ackfirst_ack_seconds_count", ()] == 3
    assert found["ackfirst_flush_size_sum", ()] == 2
    assert found["ackfirst_provider_lag_seconds_count", ()] == 1
    assert found["ackfirst_connections", ()] >= 1
    assert found["process_resident_memory_bytes", ()] > 0


async def test_it_is_counted_which_secret_of_an_account_confirmed_a_callback(redis_url: str) -> None:
    secrets = (b"the-secret-of-this-year-0123456789", SECRET.encode())
    async with running_ingest(redis_url, Accounts([Account(api_key=API_KEY, secrets=secrets)])) as ingest:
        await ingest.post_signed(BODY)
        await ingest.post_signed(BODY)
        await ingest.post_signed(BODY, secret="nobody's")
        found = await samples(ingest)
        lines = ingest.log.of("callback.received")
    confirmed = {labels: value for (name, labels), value in found.items() if name == "ackfirst_confirmations_total"}
    assert confirmed == {(("account", API_KEY), ("secret", "1")): 2}
    assert [line["secret"] for line in lines] == [1, 1, None]


async def test_what_redis_holds_is_shown(redis_url: str, redis_sync: redis.Redis) -> None:
    redis_sync.hset(keys.OUTCOMES, mapping={"processed": 7, "dead": 1})
    redis_sync.hset(keys.HANDLER_TIMES, mapping={"app.callbacks:reply:seconds": "1.5", "app.callbacks:reply:runs": 3})
    redis_sync.sadd(keys.RQ_WORKERS, "rq:worker:a", "rq:worker:b", "rq:worker:killed-long-ago")
    redis_sync.hset("rq:worker:a", "state", "busy")
    redis_sync.hset("rq:worker:b", "state", "idle")
    redis_sync.zadd(keys.scheduled(LANE), {"x": 1})
    redis_sync.zadd(keys.failed(LANE), {"y": 1, "z": 2})
    async with running_ingest(redis_url) as ingest:
        await ingest.post_signed(BODY)
        await ingest.post_signed(BODY, api_key="ffffffff")
        found = await samples(ingest)
        ready = json.loads((await ingest.admin("/readyz")).body)
    expected: dict[Any, float] = {
        ("ackfirst_redis_up", ()): 1,
        ("ackfirst_workers", ()): 2,
        ("ackfirst_quarantine_records", ()): 1,
        ("ackfirst_retries_waiting", ()): 1,
        ("ackfirst_dead_letters", ()): 2,
        ("ackfirst_lane_waiting", (("lane", LANE),)): 1,
        ("ackfirst_events_total", (("outcome", "processed"),)): 7,
        ("ackfirst_handler_seconds_sum", (("handler", "app.callbacks:reply"),)): 1.5,
        ("ackfirst_handler_seconds_count", (("handler", "app.callbacks:reply"),)): 3,
    }
    assert expected.items() <= found.items()
    assert 0 <= found["ackfirst_oldest_waiting_seconds", (("lane", LANE),)] < 60
    assert found["ackfirst_quarantine_bytes", ()] > 100
    assert ready["ready"] is True
    assert (ready["policy"], ready["accounts"], ready["workers"]) == ("never-stall", 1, 2)
    assert ready["lanes"] == {LANE: {"waiting": 1, "retries": 1, "dead_letters": 2}}
    assert ready["quarantine"]["records"] == 1
    assert {reason["id"]: reason["level"] for reason in ready["reasons"]} == {
        "lane-unserved": "error",
        "dead-letters": "warning",
        "quarantine": "warning",
        "accounts-unknown": "warning",
    }


async def test_a_key_of_another_type_in_the_place_of_a_lane_hides_no_other_lane(
    redis_url: str, redis_sync: redis.Redis
) -> None:
    redis_sync.sadd(keys.LANES, "blocked")
    redis_sync.set(keys.queue("blocked"), "no list")
    async with running_ingest(redis_url) as ingest:
        await ingest.post_signed(BODY)
        found = await samples(ingest)
    assert found["ackfirst_redis_up", ()] == 1
    assert found["ackfirst_lane_waiting", (("lane", LANE),)] == 1
    assert found["ackfirst_lane_waiting", (("lane", "blocked"),)] == 0


def our_keys(client: redis.Redis) -> set[bytes]:
    """All keys but the one that ingest itself writes while a busy machine makes Redis look slow."""
    return set(client.keys()) - {keys.PROBE.encode()}


async def test_strangers_cannot_add_a_series_or_a_key(redis_url: str, redis_sync: redis.Redis) -> None:
    async with running_ingest(
        redis_url, limits=IngestLimits(quarantine_per_second=1000, quarantine_records=50)
    ) as ingest:
        await hostile(ingest, "warm-up")
        await await_until(lambda: redis_sync.exists(keys.GENERATION))
        names, keys_before = set(await samples(ingest)), our_keys(redis_sync)
        await asyncio.gather(*(hostile(ingest, f"stranger-{number}") for number in range(200)))
        found = set(await samples(ingest))
    assert "stranger" not in str(found)
    assert {name for name, _ in found - names} <= {"ackfirst_callbacks_total", "ackfirst_callbacks_created"}
    assert our_keys(redis_sync) == keys_before


async def hostile(ingest: Ingest, name: str) -> None:
    body = json.dumps({"channel": name, "message_uuid": name, "status": name}).encode()
    await ingest.post_signed(body, api_key=name, application_id=name)
    await ingest.send(
        "GET", f"/webhooks/inbound-sms?msisdn={name}&messageId={name}&text=x&sig={'0' * 32}&api-key={name}"
    )
    await ingest.send("POST", f"/{name}", data=body)


async def test_health_is_the_process_alone(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest:
        assert (await ingest.admin("/healthz")).body == b"ok\n"


@pytest.mark.parametrize(("pid", "kept"), [(1, True), (2**22 + 7, False)])
def test_gauges_of_killed_processes_leave_the_sum(tmp_path: Path, pid: int, kept: bool) -> None:
    gauge, counter = tmp_path / f"gauge_livesum_{pid}.db", tmp_path / f"counter_{pid}.db"
    gauge.touch()
    counter.touch()
    forget_dead_processes(tmp_path)
    assert (gauge.exists(), counter.exists()) == (kept, True)


async def test_an_account_that_nobody_can_confirm_is_named_until_it_is_well(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest:
        for _ in range(3):
            await ingest.post_signed(BODY, secret="an-old-secret-nobody-remembers-now")
            await ingest.post_signed(BODY, api_key="ffffffff")
        before, suspect = await samples(ingest), json.loads((await ingest.admin("/readyz")).body)
        await ingest.post_signed(BODY)
        after, well = await samples(ingest), json.loads((await ingest.admin("/readyz")).body)
    [ours, unknown] = suspect["suspect_accounts"]
    assert (ours["account"], ours["callbacks"], ours["reason"]) == (API_KEY, 3, "signature-mismatch")
    assert (unknown["account"], unknown["claimed_account"]) == (None, "ffffffff")
    assert suspect["ready"] is True
    assert well["suspect_accounts"] == [unknown]
    label = ("ackfirst_account_unconfirmed", (("account", API_KEY),))
    assert (before[label], after[label]) == (1, 0)
    assert before["ackfirst_unknown_accounts", ()] == 1
    assert "ffffffff" not in str(before)
    assert [len(ingest.log.of(f"account.{name}")) for name in ("unconfirmed", "confirmed-again")] == [2, 1]
