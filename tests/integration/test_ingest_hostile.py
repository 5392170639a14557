"""Any bytes in any place: the answer is never a 500, the server goes on, and nothing of it breaks a log line."""

import asyncio
import io
import json
import logging
import random

import pytest
import redis
import structlog

from ackfirst.shared import log as logs
from ackfirst.shared.queue.envelope import Envelope
from tests.support.factories import inbound_message
from tests.support.ingest import Ingest, running_ingest, signed_headers
from tests.support.raw_http import head, raw_connection

BODY = json.dumps(inbound_message()).encode()
PATH = "/webhooks/inbound-message"
ODD = [
    "\udcff\udc80",
    "\u2028",
    "%",
    "%ff%00",
    "..%2f",
    "é",
    "\x7f",
    "=&=",
    "[",
    "{" * 200,
    "'\"<>",
    "?",
    "#x",
    "+" * 50,
]

REQUESTS = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client that took the wrong port
    b"GET http://[::1/webhooks/inbound-message HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://x:99999999/webhooks/inbound-sms HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://x/webhooks/inbound-sms?a=b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET //webhooks/inbound-sms HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /webhooks/inbound-sms HTTP/1.1\r\n\r\n",
    b"POST /webhooks/inbound-sms HTTP/1.0\r\n\r\n",
    b"POST /webhooks/inbound-sms HTTP/9.9\r\nHost: x\r\n\r\n",
    b"G\xffT / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /webhooks/inbound-sms?\xff\xfe=\x80 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: \xff\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /webhooks/inbound-sms HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /webhooks/inbound-sms HTTP/1.1\r\nHost: x\r\nContent-Length: 9" + b"9" * 400 + b"\r\n\r\n",
    head("Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    head("Connection: upgrade", "Upgrade: websocket", "Content-Length: 2") + b"{}",
    head("Expect: the-unexpected", "Content-Length: 2") + b"{}",
    b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(500)) + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    b"\r\n\r\n\r\n",
    b"\x00" * 100 + b"\r\n\r\n",
]


async def statuses_of(ingest: Ingest, request: bytes) -> list[int]:
    """The statuses of all that the server answers until it closes, or waits for more."""
    async with raw_connection(ingest.port) as sender:
        await sender.send(request)
        reply = await sender.rest(quiet=0.5)
    return [int(line.split()[1]) for line in reply.split(b"\r\n") if line.startswith(b"HTTP/1.")]


def no_server_error(statuses: list[int]) -> bool:
    return all(status < 500 or status == 503 for status in statuses)


async def test_requests_that_are_hardly_http_are_refused(redis_url: str) -> None:
    async with running_ingest(redis_url) as ingest:
        for request in REQUESTS:
            statuses = await statuses_of(ingest, request)
            assert no_server_error(statuses), request
        assert (await ingest.post_signed(BODY)).status == 200
    assert not ingest.log.of("callback.failed")


@pytest.mark.parametrize("odd", ODD, ids=ascii)
async def test_odd_text_in_any_header_and_in_the_query_of_a_genuine_callback(
    odd: str, redis_url: str, redis_sync: redis.Redis
) -> None:
    token = signed_headers(BODY)["Authorization"]
    lines = [
        "Connection: close",
        f"Authorization: {token}",
        f"Content-Type: {odd}",
        f"User-Agent: {odd}",
        f"traceparent: {odd}",
    ]
    request = head(*lines, f"Content-Length: {len(BODY)}", path=f"{PATH}?x={odd}") + BODY
    async with running_ingest(redis_url) as ingest:
        statuses = await statuses_of(ingest, request)
    # What HTTP itself forbids is a 400; everything else is a callback that is signed, hence queued.
    assert statuses in ([200], [400])
    jobs = [redis_sync.hget(key, "data") for key in redis_sync.scan_iter("rq:job:*")]
    assert len(jobs) == (statuses == [200])
    assert all(Envelope.decode(json.loads(job)[2][0]).body == BODY for job in jobs)


@pytest.mark.parametrize("odd", ODD, ids=ascii)
async def test_odd_text_in_a_forged_callback_is_parked_or_refused(odd: str, redis_url: str) -> None:
    requests = [
        head("Connection: close", f"Authorization: Bearer {odd}", "Content-Length: 2", path=f"{PATH}?{odd}") + b"{}",
        head(
            "Connection: close",
            f"Authorization: {odd}",
            "Content-Length: 2",
            f"User-Agent: {odd}",
            path=f"{PATH}?{odd}",
        )
        + b"{}",
        head(
            "Connection: close",
            method="GET",
            path=f"{PATH}?msisdn=1&messageId={odd}&text={odd}&sig={odd}&api-key={odd}",
        ),
        head(
            "Connection: close",
            method="GET",
            path=f"{PATH}?msisdn=1&messageId=2&text={odd}&sig={'0' * 32}&api-key={odd}",
        ),
    ]
    async with running_ingest(redis_url) as ingest:
        for request in requests * 2:
            statuses = await statuses_of(ingest, request)
            assert len(statuses) == 1, request
            assert no_server_error(statuses), request
    assert not ingest.log.of("callback.failed")


async def test_random_bytes_never_make_a_500(redis_url: str) -> None:
    chance = random.Random(20_260_304)
    token = signed_headers(BODY)["Authorization"].encode()
    good = head(f"Authorization: {token.decode()}", f"Content-Length: {len(BODY)}") + BODY
    async with running_ingest(redis_url) as ingest:
        for _ in range(4):
            mutants = [mutate(good, chance) for _ in range(100)]
            answers = await asyncio.gather(*(statuses_of(ingest, mutant) for mutant in mutants))
            assert all(map(no_server_error, answers))
            assert sum(map(bool, answers)) > 50
        assert (await ingest.post_signed(BODY)).status == 200
    assert not ingest.log.of("callback.failed")


def mutate(request: bytes, chance: random.Random) -> bytes:
    mutant = bytearray(request)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(mutant))
        mutant[place : place + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 4))
    return bytes(mutant)


async def test_hostile_text_does_not_break_a_log_line(redis_url: str) -> None:
    stream = io.StringIO()
    logs.configure(format="json", level="info", stream=stream)
    try:
        async with running_ingest(redis_url, log=structlog.get_logger()) as ingest:
            reply = await ingest.post_signed(BODY, api_key='\u202e"\n\x07' * 20)
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()
        logging.captureWarnings(capture=False)
    assert reply.status == 200
    (line,) = [line for line in stream.getvalue().splitlines() if "callback.received" in line]
    assert json.loads(line)["verdict"] == "suspect"
