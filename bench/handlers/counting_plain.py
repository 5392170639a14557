"""A plain handler with one Redis command. As a program: the same function in a bare pool of threads, no queue."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import redis

from ackfirst import Event, on

client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])


def increment(_number: int = 0) -> None:
    """Count one task."""
    client.incr("bench:done")


@on()
def count(event: Event) -> None:
    """Count the event."""
    increment()


if __name__ == "__main__":
    with ThreadPoolExecutor(int(sys.argv[2])) as pool:
        for _ in pool.map(increment, range(int(sys.argv[1]))):
            pass
