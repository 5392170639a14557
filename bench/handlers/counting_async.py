"""An async handler with one Redis command. As a program: the same coroutine in a bare event loop, no queue."""

import asyncio
import os
import sys

import redis.asyncio

from ackfirst import Event, on

client = redis.asyncio.from_url(os.environ["BENCH_REDIS_URL"])


@on()
async def count(event: Event) -> None:
    """Count the event."""
    await client.incr("bench:done")


async def _loop(tasks: int, concurrency: int) -> None:
    left = iter(range(tasks))

    async def work() -> None:
        for _ in left:
            await client.incr("bench:done")

    await asyncio.gather(*(work() for _ in range(concurrency)))


if __name__ == "__main__":
    asyncio.run(_loop(int(sys.argv[1]), int(sys.argv[2])))
