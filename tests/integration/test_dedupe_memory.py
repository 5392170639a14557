"""What remembering an event costs in a real Redis.

``TEST_DEDUPE_IDS=10000000`` fills every bucket; otherwise a part of them is filled just as densely.
"""

import os
import random

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.dedupe import BUCKET_BITS, place
from tests.support.redis_process import RedisProcess

IDS = int(os.environ.get("TEST_DEDUPE_IDS", "150000"))
FULL = 10_000_000
LIMIT = 24.0


def test_an_id_costs_less_than_24_bytes_at_ten_million(own_redis: RedisProcess) -> None:
    dice = random.Random(1)
    buckets = max(1, 2**BUCKET_BITS * IDS // FULL)
    with own_redis.client() as client:
        client.config_set("appendonly", "no")
        before = int(client.info("memory")["used_memory"])
        for start in range(0, IDS, 10_000):
            with client.pipeline(transaction=False) as pipeline:
                for _ in range(min(10_000, IDS - start)):
                    bucket = dice.randrange(buckets)
                    _, member = place(f"m-{dice.getrandbits(128):032x}")
                    pipeline.sadd(keys.seen(86_400, 20_000, f"{bucket:05x}"), member)
                pipeline.execute()
        for bucket in range(buckets):
            client.expire(keys.seen(86_400, 20_000, f"{bucket:05x}"), 259_200)
        cost = (int(client.info("memory")["used_memory"]) - before) / IDS
        encoding = client.object("encoding", keys.seen(86_400, 20_000, "00000"))
    print(f"{IDS:,} ids in {buckets:,} sets: {cost:.1f} bytes each")  # noqa: T201 - the figure that counts
    assert encoding == b"intset"
    assert cost <= LIMIT
