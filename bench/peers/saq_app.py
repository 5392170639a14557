"""SAQ: one process, a hundred jobs at once."""

import asyncio
import os
import sys
from typing import Any

import redis.asyncio
from saq.queue.redis import RedisQueue

URL = os.environ["BENCH_REDIS_URL"]
queue = RedisQueue(redis.asyncio.from_url(URL), max_concurrent_ops=100)
client = redis.asyncio.from_url(URL)


async def job(ctx: dict[str, Any], *, body: str) -> None:
    """Count."""
    await client.incr("bench:done")


settings = {"queue": queue, "functions": [job], "concurrency": 100}


async def _fill() -> None:
    for body in sys.stdin:
        await queue.enqueue("job", body=body.rstrip("\n"))


if __name__ == "__main__":
    asyncio.run(_fill())
