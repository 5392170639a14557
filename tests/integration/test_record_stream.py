"""The stream of the record: what ingest writes into it, and when applications were last heard of."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import redis
import redis.asyncio

from ackfirst.ingest.limits import IngestLimits
from ackfirst.shared.quarantine.stream import Quarantine
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.enqueue import Enqueuer
from ackfirst.shared.queue.job import JobOptions
from ackfirst.shared.queue.record import RecordedRequest, RecordEntry
from tests.integration.test_quarantine import RECORD
from tests.support.factories import API_KEY, NOW, make_envelope
from tests.support.ingest import Ingest, running_ingest
from tests.support.waiting import await_until

OPTIONS = JobOptions(timeout=180, result_ttl=300, failure_ttl=604800, retry_intervals=(5,), is_recorded=True)


def entries(client: redis.Redis) -> list[RecordEntry]:
    return [RecordEntry.decode(entry_id, fields) for entry_id, fields in client.xrange(keys.RECORD)]


def last(client: redis.Redis, key: str) -> dict[str, float]:
    return {name.decode(): float(at) for name, at in client.hgetall(key).items()}


async def test_a_batch_is_one_entry_that_tells_new_events_from_repeated_ones(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    writer = Enqueuer(redis_async, OPTIONS, dedupe_seconds=3600)
    first, second = make_envelope(), make_envelope()
    await writer.enqueue([first], now=NOW)
    await writer.enqueue([first, second], now=NOW)
    before, after = entries(redis_sync)
    assert (before.arrived, before.repeated) == ([first.id], [])
    assert (after.arrived, after.repeated) == ([second.id], [first.id])
    assert (before.acknowledged, after.acknowledged) == (1, 2)
    assert abs(after.at - time.time()) < 60
    assert redis_sync.hget(keys.job(second.id), keys.RECORDED) == b"1"


async def test_nothing_is_written_to_the_stream_while_the_record_is_off(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    envelope = make_envelope()
    await Enqueuer(redis_async, replace(OPTIONS, is_recorded=False), dedupe_seconds=3600).enqueue([envelope], now=NOW)
    await Quarantine(redis_async, max_records=9, max_bytes=9999).add(RECORD)
    assert not redis_sync.exists(keys.RECORD)
    assert not redis_sync.hexists(keys.job(envelope.id), keys.RECORDED)


async def test_an_event_that_cannot_be_queued_has_no_entry(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    redis_sync.set(keys.queue("foreign"), "no list")
    writer = Enqueuer(redis_async, OPTIONS, dedupe_seconds=3600)
    good = make_envelope()
    results = await writer.enqueue([make_envelope(lane="foreign"), good], now=NOW)
    assert isinstance(results[0], Exception)
    assert [entry.arrived for entry in entries(redis_sync)] == [[good.id]]


async def test_a_foreign_key_in_the_place_of_the_stream_refuses_no_event(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    for key in (keys.RECORD, keys.LAST_CALLBACKS):
        redis_sync.set(key, "foreign")
    assert await Enqueuer(redis_async, OPTIONS, dedupe_seconds=3600).enqueue([make_envelope()], now=NOW) == [True]


async def test_the_last_verified_callback_of_an_application_is_the_newest_one_also_behind_a_drain(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    writer = Enqueuer(redis_async, replace(OPTIONS, is_recorded=False), dedupe_seconds=3600)

    async def receive(at: float, application_id: str | None) -> None:
        envelope = make_envelope(received_at=at, account=API_KEY, application_id=application_id)
        await writer.enqueue([envelope, envelope], now=NOW)

    await receive(NOW, "one")
    await receive(NOW - 60, "one")
    await receive(NOW - 60, None)
    assert last(redis_sync, keys.LAST_CALLBACKS) == {f"{API_KEY}/one": NOW, f"{API_KEY}/": NOW - 60}


async def test_a_quarantined_callback_is_recorded_with_its_place_and_noted_as_unconfirmed(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis
) -> None:
    quarantine = Quarantine(redis_async, max_records=1, max_bytes=9999, is_recorded=True)
    assert await quarantine.add(RECORD, application_id="shop\ud800", family="message-status")
    assert not await quarantine.add(RECORD)
    (entry,) = entries(redis_sync)
    (place,) = (name.decode() for name, _ in redis_sync.xrange(keys.QUARANTINE))
    assert entry.quarantined == RecordedRequest(
        at=RECORD.received_at,
        account="k7m2p9qa",
        application_id="shop\\ud800",
        family="message-status",
        verdict="suspect",
        reason="signature-mismatch",
        quarantine=place,
    )
    assert last(redis_sync, keys.LAST_UNCONFIRMED) == {"k7m2p9qa/shop\\ud800": RECORD.received_at}


async def test_applications_that_senders_make_up_do_not_fill_redis(
    redis_async: redis.asyncio.Redis, redis_sync: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "LAST_UNCONFIRMED_LIMIT", 5)
    quarantine = Quarantine(redis_async, max_records=99, max_bytes=999_999)
    for number in range(20):
        await quarantine.add(RECORD, application_id=f"{number}")
    found = last(redis_sync, keys.LAST_UNCONFIRMED)
    assert len(found) == 5
    assert "k7m2p9qa/19" in found


@pytest.fixture
async def ingest(redis_url: str) -> AsyncIterator[Ingest]:
    async with running_ingest(redis_url, limits=IngestLimits()) as running:
        yield running


async def test_refused_callbacks_are_recorded_one_by_one_up_to_ten_and_then_counted(
    ingest: Ingest, redis_sync: redis.Redis
) -> None:
    for number in range(14):
        reply = await ingest.post_signed(b'{"n":%d}' % number, payload_hash="0" * 64, application_id="shop")
        assert reply.status == 401

    def refused() -> list[int]:
        return [entry.refused.count for entry in entries(redis_sync) if entry.refused]

    await await_until(lambda: sum(refused()) == 14)
    (first, *_) = (entry.refused for entry in entries(redis_sync) if entry.refused)
    assert first is not None
    assert (first.account, first.application_id, first.count) == (API_KEY, "shop", 1)
    assert (first.verdict, first.reason) == ("forged", "payload-hash-mismatch")
    assert list(last(redis_sync, keys.LAST_UNCONFIRMED)) == [f"{API_KEY}/shop"]
