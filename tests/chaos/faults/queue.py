"""Faults of what stands in the queue: things that no release of ours has written."""

import random

from redis import Redis

from ackfirst.shared.queue import keys
from tests.chaos.fault import Fault
from tests.chaos.load import Load
from tests.chaos.world import World


def _lanes(client: Redis) -> list[str]:
    return sorted(lane.decode() for lane in client.smembers(keys.LANES))


def _poison(world: World, load: Load) -> None:
    """Jobs whose function is not ours, whose arguments are none, or whose data is no JSON, at the head of each lane."""
    load.wait_for(0.3)
    with world.redis.client() as client:
        for lane in _lanes(client):
            for number, data in enumerate(
                (
                    '["os.system",null,["true"],{}]',
                    '["ackfirst.workers.jobs.process",null,[],{}]',
                    "\x80\x04N.",
                    "{}",
                    "",
                )
            ):
                job_id = f"poison-{lane}-{number}"
                fields = {"status": "queued", "origin": keys.queue_name(lane), "data": data, "timeout": "180"}
                fields |= {"created_at": "2026-01-01T00:00:00.000000Z", "enqueued_at": "2026-01-01T00:00:00.000000Z"}
                client.hset(keys.job(job_id), mapping=fields)
                client.lpush(keys.queue(lane), job_id)


def _garbage(world: World, load: Load) -> None:
    """Ids without a hash, ids that are no ids, hashes with broken dates and statuses, keys of another type."""
    load.wait_for(0.3)
    dice = random.Random(7)
    with world.redis.client() as client:
        for lane in _lanes(client):
            queue = keys.queue(lane)
            client.lpush(queue, "no-such-job", b"\xff\xfe\x00", "", "x" * 5000, dice.randbytes(64))
            client.hset(keys.job("bad-date"), mapping={"created_at": "yesterday", "status": "queued", "data": "[]"})
            client.hset(keys.job("bad-number"), mapping={"timeout": "soon", "status": "queued", "retries_left": "many"})
            client.set(keys.job("no-hash"), "a string")
            client.lpush(queue, "bad-date", "bad-number", "no-hash")
            client.zadd(keys.scheduled(lane), {"gone": 1, b"\xff": 2, "no-hash": 3})
            client.zadd(keys.running(lane), {"gone:1": 1, b"\xff\xfe": 2, "without-execution": 3})
            client.rpush(keys.intermediate(lane), "left-behind", b"\xff")


FAULTS = (
    Fault(
        name="poison-job",
        about="jobs that name another function, or hold no JSON, at the head of every lane",
        strike=_poison,
    ),
    Fault(
        name="malformed-hash",
        about="missing, broken and foreign entries in every list and sorted set of every lane",
        strike=_garbage,
    ),
)
