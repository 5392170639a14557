"""What a waiting event costs in Redis's memory, and what each field of its job hash adds."""

import asyncio
from typing import Any

import redis

from bench import servers, worker
from shared import keys


def waiting(count: int) -> dict[str, float]:
    """Bytes an event: all of it, then each field by taking it out of all hashes, in the order of their cost."""
    with servers.redis() as url, redis.Redis.from_url(url) as client:
        before = _used(client)
        asyncio.run(worker.fill(url, count))
        seen = list(client.scan_iter("ackfirst:seen:*", count=1000))  # has a row of its own
        for start in range(0, len(seen), 1000):
            client.delete(*seen[start : start + 1000])
        total = (_used(client) - before) / count
        names = list(client.scan_iter(f"{keys.job('')}*", count=1000))
        fields = [field.decode() for field in client.hkeys(names[0])]
        costs = {field: _without(client, names, field) / count for field in fields}
        return {"all of it": total, **dict(sorted(costs.items(), key=lambda one: -one[1]))}


def _without(client: redis.Redis, names: list[Any], field: str) -> float:
    before = _used(client)
    for start in range(0, len(names), 1000):
        with client.pipeline(transaction=False) as pipeline:
            for name in names[start : start + 1000]:
                pipeline.hdel(name, field)
            pipeline.execute()
    return before - _used(client)


def _used(client: redis.Redis) -> int:
    """Bytes of the data set, without what connections and the append-only file's buffers hold."""
    stats: Any = client.memory_stats()
    return int(stats["dataset.bytes"])
