"""Measure the Redis memory of an event while it waits, field by field, and of a remembered id."""

import asyncio
import random
import time
from typing import Any, Final

import redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.dedupe import BUCKET_BITS, MEMBER_BITS
from bench import servers
from bench.filling import fill
from bench.plan import Plan, say
from bench.rows import Row, row

#: Ids of three days at about 40 events a second.
IDS: Final = 10_000_000

#: Sets that are written in one round trip.
_BATCH: Final = 256


def memory(_plan: Plan) -> list[Row]:
    """Return the bytes of a waiting event by field, and of a remembered id."""
    costs = _waiting(20_000)
    limits = {"all of it": 1600.0}
    rows = [row(f"{name}, bytes", [max(0.0, round(cost, 1))], at_most=limits.get(name)) for name, cost in costs.items()]
    rows.append(row(f"a remembered id of {IDS:,}, bytes", [_remembered()], at_most=24))
    return [*rows, row("an id as a key of its own, bytes", [_plain_key(100_000)])]


def _waiting(count: int) -> dict[str, float]:
    """Return bytes per event: all of it, then each field by deleting it from all hashes, most expensive first."""
    say(f"memory: {count:,} waiting events")
    with servers.redis() as url, redis.Redis.from_url(url) as client:
        before = _used(client)
        asyncio.run(fill(url, count))
        seen = list(client.scan_iter("ackfirst:seen:*", count=1000))  # remembered ids have a row of their own
        for start in range(0, len(seen), 1000):
            client.delete(*seen[start : start + 1000])
        total = (_used(client) - before) / count
        names = list(client.scan_iter(f"{keys.job('')}*", count=1000))
        fields = [field.decode() for field in client.hkeys(names[0])]
        costs = {field: _without(client, names, field) / count for field in fields}
        return {"all of it": total, **dict(sorted(costs.items(), key=lambda one: -one[1]))}


def _remembered(ids: int = IDS) -> float:
    """Return bytes per id when ``ids`` are remembered, randomly spread over the sets of one period."""
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


def _plain_key(count: int) -> float:
    """Return bytes per id as a key of its own that expires, the usual way to remember one."""
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
    """Return bytes of the data and its key tables, without connections and buffers."""
    stats: Any = client.memory_stats()
    return int(stats["dataset.bytes"] + sum(stats.get("db.0", {}).values()))
