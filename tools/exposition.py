"""Ask a live ingest for its metrics."""

import json

from redis import Redis

from ackfirst.shared.queue import keys
from tests.support.factories import inbound_message
from tests.support.ingest import running_ingest


async def exposition(redis_url: str) -> str:
    """Return ``/metrics`` of an ingest that received a callback, on a queue where a handler has run."""
    with Redis.from_url(redis_url) as redis:
        redis.hset(keys.HANDLER_TIMES, mapping={"app.callbacks:reply:seconds": "1.5", "app.callbacks:reply:runs": 3})
    async with running_ingest(redis_url) as ingest:
        await ingest.post_signed(json.dumps(inbound_message()).encode())
        await ingest.send("GET", "/nowhere")
        return (await ingest.admin("/metrics")).body.decode()
