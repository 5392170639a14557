"""Promotion of due retries, and the lease by which one janitor of several works."""

import time

import redis

from ackfirst.shared.queue import keys
from ackfirst.workers.lease import Lease
from ackfirst.workers.recovery.survey import RETRIES_A_CALL, promote
from tests.support.factories import make_envelope
from tests.support.jobs import enqueue, set_aside, status
from tests.support.waiting import wait_until

LANE = "l"


def _schedule(client: redis.Redis, count: int, *, due: float, job_status: str = "scheduled") -> list[str]:
    envelopes = [make_envelope(lane=LANE) for _ in range(count)]
    enqueue(client, *envelopes)
    client.delete(keys.queue(LANE), keys.BELL)
    with client.pipeline() as pipeline:
        for envelope in envelopes:
            pipeline.hset(keys.job(envelope.id), "status", job_status)
            pipeline.zadd(keys.scheduled(LANE), {envelope.id: due})
        pipeline.execute()
    return [envelope.id for envelope in envelopes]


def test_what_is_due_goes_to_its_lane_and_rings_the_bell(redis_sync: redis.Redis) -> None:
    now = time.time()
    [due] = _schedule(redis_sync, 1, due=now - 1)
    [later] = _schedule(redis_sync, 1, due=now + 60)
    assert promote(redis_sync, LANE, now) == 1
    assert redis_sync.lrange(keys.queue(LANE), 0, -1) == [due.encode()]
    assert redis_sync.llen(keys.BELL) == 1
    assert (status(redis_sync, due), status(redis_sync, later)) == ("queued", "scheduled")
    assert redis_sync.zrange(keys.scheduled(LANE), 0, -1) == [later.encode()]


def test_a_great_many_are_promoted_in_pieces_and_the_bell_stays_small(redis_sync: redis.Redis) -> None:
    _schedule(redis_sync, RETRIES_A_CALL + 20, due=1)
    assert promote(redis_sync, LANE, time.time()) == RETRIES_A_CALL + 20
    assert redis_sync.llen(keys.queue(LANE)) == RETRIES_A_CALL + 20
    assert redis_sync.llen(keys.BELL) == keys.BELL_LIMIT


def test_left_overs_are_dropped_and_what_has_no_hash_is_set_aside(redis_sync: redis.Redis) -> None:
    _schedule(redis_sync, 1, due=1, job_status="finished")
    redis_sync.set(keys.job("a-string"), "1")
    redis_sync.zadd(keys.scheduled(LANE), {"vanished": 1, b"\xff": 2, "a-string": 3})
    assert promote(redis_sync, LANE, time.time()) == 0
    assert [(one.entry, one.place, one.reason) for one in set_aside(redis_sync)] == [
        (b"vanished", "scheduled", "no job hash"),
        (b"\xff", "scheduled", "no job hash"),
        (b"a-string", "scheduled", "the job key holds no hash"),
    ]
    assert not redis_sync.exists(keys.scheduled(LANE), keys.queue(LANE))


def test_one_holds_the_lease_until_it_gives_it_back(redis_sync: redis.Redis) -> None:
    first, second = (Lease(redis_sync, keys.JANITOR_LEASE, token=token, seconds=10) for token in ("a", "b"))
    assert first.hold()
    assert first.hold(), "and renews it"
    assert not second.hold()
    second.release()
    assert first.hold(), "nobody gives back what is another's"
    first.release()
    assert second.hold()


def test_a_lease_that_is_not_renewed_passes_on(redis_sync: redis.Redis) -> None:
    dead, other = (Lease(redis_sync, keys.JANITOR_LEASE, token=token, seconds=0.2) for token in ("a", "b"))
    assert dead.hold()
    wait_until(other.hold, timeout=5)
    assert not dead.hold()
