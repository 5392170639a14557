"""An async handler with one command to Redis, as the peers' tasks have it."""

import os

import redis.asyncio

from ackfirst import Event, on

client = redis.asyncio.from_url(os.environ["BENCH_REDIS_URL"])


@on()
async def count(event: Event) -> None:
    """Count."""
    await client.incr("bench:done")
