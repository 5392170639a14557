"""What an event costs in Redis's memory: while it waits, field by field, and its id for as long as it is remembered."""

import asyncio
import random
import time
from typing import Any, Final

import redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.dedupe import BUCKET_BITS, MEMBER_BITS
from bench import servers, worker
from bench.progress import say

#: Ids of three days at about 40 events a second.
IDS: Final = 10_000_000

#: Sets that are written in one round trip.
_BATCH: Final = 256


def waiting(count: int) -> dict[str, float]:
    """Bytes an event: all of it, then each field by taking it out of all hashes, in the order of their cost."""
    say(f"memory: {count:,} waiting events")
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


def remembered(ids: int = IDS) -> float:
    """Bytes an id when so many are remembered, spread over the sets of one period as chance has it."""
    say(f"memory: {ids:,} remembered ids")
    dice = random.Random(1)
    with servers.redis() as url, redis.Redis.from_url(url) as client:
        client.config_set("appendonly", "no")  # it is not what is measured
        before, written = _used(client), 0
        for start in range(0, 2**BUCKET_BITS, _BATCH):
            with client.pipeline(transaction=False) as pipeline:
                for bucket in range(start, start + _BATCH):
                    written += _remember(pipeline, bucket, dice, ids / 2**BUCKET_BITS)
                pipeline.execute()
        return (_used(client) - before) / written


def _remember(pipeline: Any, bucket: int, dice: random.Random, mean: float) -> int:
    count = max(1, round(dice.gauss(mean, mean**0.5)))  # near enough to a Poisson distribution
    members = [dice.getrandbits(MEMBER_BITS) - 2 ** (MEMBER_BITS - 1) for _ in range(count)]
    key = keys.seen(86_400, 20_000, f"{bucket:05x}")
    pipeline.sadd(key, *members)
    pipeline.expireat(key, int(time.time()) + 259_200)
    return count


def plain_key(count: int) -> float:
    """Bytes an id as a key of its own that expires: the usual way to remember one."""
    with servers.redis() as url, redis.Redis.from_url(url) as client:
        before = _used(client)
        for start in range(0, count, 1000):
            with client.pipeline(transaction=False) as pipeline:
                for number in range(start, start + 1000):
                    pipeline.set(f"ackfirst:seen:m-{number:032x}", 1, ex=259_200)
                pipeline.execute()
        return (_used(client) - before) / count


def _without(client: redis.Redis, names: list[Any], field: str) -> float:
    before = _used(client)
    for start in range(0, len(names), 1000):
        with client.pipeline(transaction=False) as pipeline:
            for name in names[start : start + 1000]:
                pipeline.hdel(name, field)
            pipeline.execute()
    return before - _used(client)


def _used(client: redis.Redis) -> int:
    """Bytes of the data and of the tables of its keys, without what connections and buffers hold."""
    stats: Any = client.memory_stats()
    return int(stats["dataset.bytes"] + sum(stats.get("db.0", {}).values()))
