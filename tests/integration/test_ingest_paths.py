"""Nearly the right URL: what verifies is accepted at any path, and what is refused for good can be seen."""

import json
from urllib.parse import urlencode

import pytest
import redis

from ackfirst.ingest.limits import IngestLimits
from ackfirst.ingest.request_log import LINES_A_MINUTE
from ackfirst.shared.queue import keys
from tests.support.factories import API_KEY, LANE, inbound_message
from tests.support.ingest import running_ingest
from tests.support.nexmo import signed

BODY = json.dumps(inbound_message()).encode()
SMS = {"msisdn": "447700900417", "to": "12015550142", "messageId": "0C0000009D3E71A4", "text": "Hi", "type": "text"}
NEARLY = ["/webhooks/inbound-sms/", "/nexmo/webhooks/inbound-sms", "/webhooks/status", "/", "//webhooks/inbound-sms"]


@pytest.mark.parametrize("path", NEARLY)
async def test_a_signed_callback_is_queued_whatever_its_path(
    path: str, redis_url: str, redis_sync: redis.Redis
) -> None:
    async with running_ingest(redis_url) as ingest:
        assert (await ingest.post_signed(BODY, path)).status == 200
        assert (await ingest.send("GET", f"{path}?{urlencode(signed(SMS))}")).status == 200
        assert ingest.log.verdicts == ["verified", "verified"]
    assert redis_sync.llen(keys.queue(LANE)) == redis_sync.llen(keys.queue(API_KEY)) == 1


async def test_a_callback_that_only_a_wrong_secret_keeps_from_verifying_is_kept_at_any_path(
    redis_url: str, redis_sync: redis.Redis
) -> None:
    async with running_ingest(redis_url) as ingest:
        reply = await ingest.post_signed(BODY, "/webhooks/status", secret="the-secret-of-last-year-0123456789")
        assert reply.status == 200
    assert redis_sync.xlen(keys.QUARANTINE) == 1


@pytest.mark.parametrize("path", ["/webhooks/inbound-sms/", "/nexmo/webhooks/inbound-sms", "/nexmo/healthz"])
async def test_the_base_path_and_a_trailing_slash_belong_to_our_urls(path: str, redis_url: str) -> None:
    async with running_ingest(redis_url, BASE_PATH="/nexmo") as ingest:
        assert (await ingest.send("GET", path)).status == 200, "Nexmo's check when the URL is saved"


async def test_a_check_of_a_wrong_url_fails_so_that_it_is_noticed_when_it_is_saved(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest:
        assert (await ingest.send("GET", "/nexmo/webhooks/inbound-sms")).status == 404
        (line,) = ingest.log.of("request.refused")
    assert (line["reason"], line["path"]) == ("not-found", "/nexmo/webhooks/inbound-sms")


async def test_what_does_not_verify_at_a_wrong_path_is_refused_with_a_line_and_a_count(
    redis_url: str, redis_sync: redis.Redis
) -> None:
    async with running_ingest(redis_url) as ingest:
        for _ in range(2):
            assert (await ingest.send("GET", f"/sms/447700900417?{urlencode(SMS)}")).status == 404
        metrics = (await ingest.admin("/metrics")).body
        line, _ = ingest.log.of("callback.received")
    assert b'ackfirst_callbacks_total{family="inbound-sms",verdict="wrong-path"} 2.0' in metrics
    assert (line["level"], line["verdict"], line["path"]) == ("warning", "wrong-path", "/sms/447•••••417")
    assert redis_sync.xlen(keys.QUARANTINE) == 0, "scanners of the internet do not fill the quarantine"


async def test_a_body_that_is_too_large_leaves_a_line_with_its_path(redis_url: str) -> None:
    async with running_ingest(redis_url, limits=IngestLimits(body_bytes=100)) as ingest:
        assert (await ingest.send(data=b"x" * 101)).status == 413
        (line,) = ingest.log.of("callback.received")
    assert (line["level"], line["path"]) == ("warning", "/webhooks/inbound-message")


async def test_refusals_without_end_leave_a_bounded_number_of_lines(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest:
        for _ in range(LINES_A_MINUTE + 15):
            await ingest.send(data=b"{}", headers={"Authorization": "Bearer no.such.token"})
            await ingest.send("GET", "/wp-login.php")
        assert (await ingest.post_signed(BODY)).status == 200
        await ingest.server.stop()
        assert len(ingest.log.of("request.refused")) == LINES_A_MINUTE
        assert ingest.log.verdicts == ["forged"] * LINES_A_MINUTE + ["verified"]
        summaries = {(line["of"], line["kind"]): line["left_out"] for line in ingest.log.of("log.summary")}
    assert summaries == {("callback.received", "forged"): 15, ("request.refused", "not-found"): 15}
