"""dramatiq: one process, its eight threads."""

import os
import sys

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

URL = os.environ["BENCH_REDIS_URL"]
dramatiq.set_broker(RedisBroker(url=URL))
client = redis.Redis.from_url(URL)


@dramatiq.actor
def job(body: str) -> None:
    """Count."""
    client.incr("bench:done")


if __name__ == "__main__":
    for body in sys.stdin:
        job.send(body.rstrip("\n"))
