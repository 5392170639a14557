"""Records of the quarantine, signed with any secret."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import redis.asyncio

from ackfirst.shared.quarantine.review import Entry
from ackfirst.shared.quarantine.stream import Quarantine, QuarantineRecord
from tests.support.factories import NOW, inbound_message
from tests.support.nexmo import signed, token
from tests.support.redis_process import RedisProcess

FORM = "application/x-www-form-urlencoded"
SMS = {"msisdn": "447700900417", "to": "12015550142", "messageId": "0C0000009D3E71A4", "text": "Hi", "type": "text"}


def message(number: int = 0, **overrides: Any) -> QuarantineRecord:
    """An inbound message whose token the right secret confirms; each number is another event."""
    body = json.dumps(inbound_message(message_uuid=f"aaaaaaaa-0000-4000-8000-{number:012d}", text=str(number))).encode()
    claims = {"iat": int(NOW) + number, **overrides.pop("claims", {})}
    values = {
        "method": "POST",
        "path": "/webhooks/inbound-message",
        "query": "",
        "content_type": "application/json",
        "authorization": f"Bearer {token(body, **claims)}",
        "body": body,
        "received_at": NOW + number,
        "verdict": "suspect",
        "reason": "signature-mismatch",
        "account": "k7m2p9qa",
    }
    return QuarantineRecord(**{**values, **overrides})


def sms(number: int = 0, *, secret: str | None = None, **overrides: Any) -> QuarantineRecord:
    """An inbound SMS as a form, with a ``sig`` when there is a ``secret``."""
    parameters = {**SMS, "messageId": f"{number:016X}"}
    body = urlencode(signed(parameters, secret=secret) if secret else parameters).encode()
    values = {"authorization": "", "content_type": FORM, "body": body, "path": "/webhooks/inbound-sms", "account": ""}
    return message(number, **{**values, **overrides})


def entry(record: QuarantineRecord | None, number: int = 0) -> Entry:
    """A record in its place."""
    return Entry(f"{1_772_615_728_000 + number}-0", 700, record)


async def quarantine(client: redis.asyncio.Redis, records: Iterable[QuarantineRecord]) -> None:
    """Put records into the quarantine, in order."""
    quarantine = Quarantine(client, max_records=100_000, max_bytes=1_000_000_000)
    for record in records:
        assert await quarantine.add(record)


def quarantine_now(server: RedisProcess, *records: QuarantineRecord) -> None:
    """The same for a test without an event loop."""

    async def run() -> None:
        async with server.async_client() as client:
            await quarantine(client, records)

    asyncio.run(run())
