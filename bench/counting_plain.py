"""A plain handler with one command to Redis, as the peers' tasks have it."""

import os

import redis

from ackfirst import Event, on

client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])


@on()
def count(event: Event) -> None:
    """Count."""
    client.incr("bench:done")
