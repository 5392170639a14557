"""The whole verdict table through real HTTP and a real Redis, under both policies."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
import redis

from ackfirst.ingest.http import WEBHOOK_PATHS
from ackfirst.ingest.limits import IngestLimits
from ackfirst.shared.accounts import Account, Accounts
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.queue import keys
from tests.support.factories import API_KEY, LANE, SECRET, inbound_message
from tests.support.ingest import Ingest, Reply, running_ingest, signed_headers
from tests.support.nexmo import signed

BODY = json.dumps(inbound_message()).encode()
SMS = {"msisdn": "447700900417", "to": "12015550142", "messageId": "0C0000009D3E71A4", "text": "Hi", "type": "text"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SENT = Callable[[Ingest], Awaitable[Reply]]


def waiting(client: redis.Redis, lane: str = LANE) -> int:
    return int(client.llen(keys.queue(lane)))


def quarantined(client: redis.Redis) -> list[QuarantineRecord]:
    return [QuarantineRecord.decode(fields) for _, fields in client.xrange(keys.QUARANTINE)]


async def verified_message(ingest: Ingest) -> Reply:
    return await ingest.post_signed(BODY)


async def verified_twice(ingest: Ingest) -> Reply:
    await ingest.post_signed(BODY)
    return await ingest.post_signed(BODY)


async def probe(ingest: Ingest) -> Reply:
    return await ingest.send("GET")


async def unreadable(ingest: Ingest) -> Reply:
    return await ingest.post_signed(b"[1, 2")


async def wrong_secret(ingest: Ingest) -> Reply:
    return await ingest.post_signed(BODY, secret="an-old-secret-nobody-remembers-now")


async def unknown_account(ingest: Ingest) -> Reply:
    return await ingest.post_signed(BODY, api_key="ffffffff")


async def no_payload_hash(ingest: Ingest) -> Reply:
    return await ingest.post_signed(BODY, payload_hash=None)


async def wrong_sig(ingest: Ingest) -> Reply:
    return await ingest.send(data=urlencode({**SMS, "sig": "0" * 32}), headers=FORM)


async def unsigned(ingest: Ingest) -> Reply:
    return await ingest.send(data=BODY)


async def unsigned_twice(ingest: Ingest) -> Reply:
    await ingest.send(data=BODY)
    return await ingest.send(data=BODY)


async def other_body(ingest: Ingest) -> Reply:
    return await ingest.send(data=b'{"text":"other"}', headers=signed_headers(BODY))


async def no_token_at_all(ingest: Ingest) -> Reply:
    return await ingest.send(data=BODY, headers={"Authorization": "Bearer not.a.token"})


async def sig_that_is_not_hex(ingest: Ingest) -> Reply:
    return await ingest.send(data=urlencode({**SMS, "sig": "zz"}), headers=FORM)


async def too_large(ingest: Ingest) -> Reply:
    return await ingest.post_signed(b" " * 4097)


class Row(NamedTuple):
    """A request and what the table says to it: verdict, status under never-stall and strict, whether it is kept."""

    sent: SENT
    verdict: str
    never_stall: int
    strict: int
    kept: bool = False
    queued: int = 0


ROWS = [
    Row(verified_message, "verified", 200, 200, queued=1),
    Row(verified_twice, "duplicate", 200, 200, queued=1),
    Row(probe, "probe", 200, 200),
    Row(unreadable, "unreadable", 200, 200, kept=True),
    Row(wrong_secret, "suspect", 200, 401, kept=True),
    Row(unknown_account, "suspect", 200, 401, kept=True),
    Row(no_payload_hash, "suspect", 200, 401, kept=True),
    Row(wrong_sig, "suspect", 200, 401, kept=True),
    Row(unsigned_twice, "unsigned-again", 200, 401, kept=True),
    Row(other_body, "forged", 401, 401),
    Row(no_token_at_all, "forged", 401, 401),
    Row(sig_that_is_not_hex, "forged", 401, 401),
    Row(too_large, "too-large", 413, 413),
]


@pytest.mark.parametrize("policy", ["never-stall", "strict"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.sent.__name__)
async def test_each_row_of_the_table(row: Row, policy: str, redis_url: str, redis_sync: redis.Redis) -> None:
    async with running_ingest(redis_url, POLICY=policy, limits=IngestLimits(body_bytes=4096)) as ingest:
        reply = await row.sent(ingest)
    status = row.strict if policy == "strict" else row.never_stall
    error = row.verdict.removesuffix("-again")
    assert reply.status == status
    assert reply.body == (b"" if status == 200 else json.dumps({"error": error}, separators=(",", ":")).encode())
    assert ingest.log.verdicts[-1] == row.verdict
    assert waiting(redis_sync) == row.queued
    assert bool(quarantined(redis_sync)) == row.kept


async def test_unsigned_is_asked_for_again_under_never_stall_and_kept_under_strict(
    redis_url: str, redis_sync: redis.Redis
) -> None:
    async with running_ingest(redis_url, POLICY="never-stall") as ingest:
        reply = await unsigned(ingest)
        assert (reply.status, reply.body, reply.headers["Retry-After"]) == (503, b'{"error":"unsigned"}', "5")
        assert not quarantined(redis_sync)
    async with running_ingest(redis_url, POLICY="strict") as ingest:
        assert (await unsigned(ingest)).status == 401
        assert len(quarantined(redis_sync)) == 1


async def test_a_parked_callback_is_kept_byte_for_byte_with_its_evidence(
    redis_url: str, redis_sync: redis.Redis
) -> None:
    headers = {**signed_headers(BODY, api_key="ffffffff"), "User-Agent": "Vonage/1", "traceparent": "00-aa-bb-01"}
    async with running_ingest(redis_url) as ingest:
        await ingest.send(path="/webhooks/message-status?x=%41", data=BODY, headers=headers)
    (record,) = quarantined(redis_sync)
    assert (record.method, record.path, record.query) == ("POST", "/webhooks/message-status", "x=%41")
    assert (record.body, record.authorization) == (BODY, headers["Authorization"])
    assert (record.verdict, record.account) == ("suspect", "ffffffff")
    assert (record.user_agent, record.trace, record.content_type) == ("Vonage/1", "00-aa-bb-01", "application/json")


async def test_every_path_takes_every_family_and_answers_every_probe(redis_url: str, redis_sync: redis.Redis) -> None:
    async with running_ingest(redis_url) as ingest:
        for number, path in enumerate(sorted(WEBHOOK_PATHS)):
            body = json.dumps(inbound_message(message_uuid=f"uuid-{number}")).encode()
            assert (await ingest.post_signed(body, path)).status == 200
            query = urlencode(signed({**SMS, "messageId": f"0C{number}"}))
            assert (await ingest.send("GET", f"{path}?{query}")).status == 200
            assert [(await ingest.send(method, path)).status for method in ("GET", "HEAD", "POST")] == [200] * 3
    assert (waiting(redis_sync), waiting(redis_sync, API_KEY)) == (4, 4)


async def test_other_paths_and_methods_are_not_served(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest:
        assert (await ingest.send("POST", "/", data=BODY)).status == 404
        assert (await ingest.send("GET", "/metrics")).status == 404
        reply = await ingest.send("PUT", data=BODY)
        assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD, POST")
        reply = await ingest.send("GET", "/healthz")
        assert (reply.status, reply.body) == (200, b"ok\n")


async def test_no_answer_tells_strangers_what_runs_here(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest:
        replies = [await ingest.post_signed(BODY), await wrong_secret(ingest), await ingest.send("GET", "/nothing")]
    assert {reply.headers["Server"] for reply in replies} == {"ackfirst"}


async def test_simultaneous_deliveries_of_one_event_queue_it_once(redis_url: str, redis_sync: redis.Redis) -> None:
    async with running_ingest(redis_url) as ingest:
        replies = await asyncio.gather(*(ingest.post_signed(BODY) for _ in range(40)))
    assert {reply.status for reply in replies} == {200}
    assert sorted(ingest.log.verdicts) == ["duplicate"] * 39 + ["verified"]
    assert waiting(redis_sync) == 1


async def test_an_account_that_may_be_unsigned_is_queued(redis_url: str, redis_sync: redis.Redis) -> None:
    families = frozenset({Family.INBOUND_SMS})
    account = Account(
        api_key=API_KEY, secrets=(SECRET.encode(),), allow_unsigned=families, url_token="let-me-in-please"
    )
    async with running_ingest(redis_url, Accounts([account])) as ingest:
        inbound = "/webhooks/inbound-sms?" + urlencode({**SMS, "token": "let-me-in-please"})
        assert (await ingest.send("GET", inbound)).status == 200
        assert (await ingest.send("GET", inbound.replace("let-me", "let-them"))).status != 200
    assert waiting(redis_sync, API_KEY) == 1


async def test_a_flood_of_doubtful_callbacks_is_shed_and_genuine_ones_are_not(
    redis_url: str, redis_sync: redis.Redis
) -> None:
    async with running_ingest(redis_url, limits=IngestLimits(quarantine_per_second=5)) as ingest:
        replies = await asyncio.gather(
            *(ingest.post_signed(b'{"n":%d}' % number, api_key="ffffffff") for number in range(40))
        )
        assert (await ingest.post_signed(BODY)).status == 200
    statuses = [reply.status for reply in replies]
    assert 5 <= statuses.count(200) < 40
    assert {reply.headers.get("Retry-After") for reply in replies if reply.status == 429} == {"60"}
    assert statuses.count(200) + statuses.count(429) == 40
    assert len(quarantined(redis_sync)) == statuses.count(200)


async def test_a_full_quarantine_sheds(redis_url: str, redis_sync: redis.Redis) -> None:
    async with running_ingest(redis_url, limits=IngestLimits(quarantine_records=2)) as ingest:
        statuses = [(await ingest.post_signed(b'{"n":%d}' % n, api_key="ffffffff")).status for n in range(4)]
    assert statuses == [200, 200, 429, 429]
    assert len(quarantined(redis_sync)) == 2


async def test_without_any_account_everything_signed_is_quarantined(redis_url: str, redis_sync: redis.Redis) -> None:
    async with running_ingest(redis_url, Accounts()) as ingest:
        assert (await ingest.post_signed(BODY)).status == 200
    assert [record.verdict for record in quarantined(redis_sync)] == ["suspect"]
