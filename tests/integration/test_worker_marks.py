"""How long marks are kept: a job that still waits must find them, or finished handlers would run again."""

import time

import redis

from ackfirst.shared.queue import keys
from ackfirst.workers.processing.marks import HORIZON_SECONDS, Mark, RedisMarks, State

ID = "m-1"


def _marks(client: redis.Redis) -> RedisMarks:
    return RedisMarks(client, ID, keep=60, now=time.time)


def test_marks_outlive_a_short_time_for_dead_letters(redis_sync: redis.Redis) -> None:
    _marks(redis_sync).write({"my.handler": Mark(State.DONE, 1)})
    assert redis_sync.ttl(keys.marks(ID)) > HORIZON_SECONDS - 60


def test_a_later_mark_does_not_shorten_what_a_long_wait_needs(redis_sync: redis.Redis) -> None:
    wait = 10 * HORIZON_SECONDS
    first = _marks(redis_sync)
    first.write({"my.patient": Mark(State.RETRY, 1, time.time() + wait)})
    first.write({"my.quick": Mark(State.DONE, 1)})
    assert redis_sync.ttl(keys.marks(ID)) > wait
    second = _marks(redis_sync)
    second.read()
    second.write({"my.other": Mark(State.DONE, 2)})
    assert redis_sync.ttl(keys.marks(ID)) > wait
