"""arq: one process, a hundred jobs at once."""

import asyncio
import os
import sys
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings

SETTINGS = RedisSettings.from_dsn(os.environ["BENCH_REDIS_URL"])


async def job(ctx: dict[str, Any], body: str) -> None:
    """Count."""
    await ctx["redis"].incr("bench:done")


class WorkerSettings:
    """The settings that arq's command line reads."""

    functions = (job,)
    redis_settings = SETTINGS
    max_jobs = 100
    poll_delay = 0.01
    queue_read_limit = 200


async def _fill() -> None:
    pool = await create_pool(SETTINGS)
    for body in sys.stdin:
        await pool.enqueue_job("job", body.rstrip("\n"))
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(_fill())
