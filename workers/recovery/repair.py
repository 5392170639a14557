"""``ackfirst repair``: find jobs that wait to run but are in no list, and put them back into their lanes.

Every step of ours moves a job in one atomic script. A stock RQ worker that is killed, a dashboard or a person with
redis-cli can lose one between two commands; the job hash is still there, so nothing is lost for good.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any, Final

import click
from redis import Redis
from redis.exceptions import RedisError

from ackfirst.shared.embedded import operator_settings
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.plural import plural
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import rq_time
from ackfirst.shared.redis.client import sync_redis
from ackfirst.workers.recovery.redis_clock import RedisClock
from ackfirst.workers.replies import is_job_id, text
from ackfirst.workers.scripts import script

#: Keys that one call looks at: about a millisecond of the server's time.
KEYS_A_CALL: Final = 1_000
#: Time between finding a job in no list and putting it back: a stock worker has a job in no list for milliseconds.
DOUBT_SECONDS: Final = 10.0
#: Jobs at the head of a lane that tell how old a waiting job can be: a recovered job goes to the front.
HEAD_JOBS: Final = 32

#: Job id, lane and status of a job that seems to be in no list.
Suspect = tuple[str, str, str]


@click.command()
def command() -> None:
    """Put jobs that wait to run but are in no list back into their lanes.

    Safe while workers run. It looks at every job hash, and takes ten seconds longer when it finds any.
    """
    settings = operator_settings(os.environ, partial(click.echo, err=True))
    with sync_redis(settings.redis_url.get_secret_value()) as redis:
        try:
            repaired = repair(redis)
        except RedisError as error:
            raise ConfigurationError(f"Redis did not answer: {error}; check ACKFIRST_REDIS_URL") from error
    for job_id, lane, status in repaired:
        click.echo(f"{job_id}  lane {lane}  was {status}")
    click.echo(f"{plural(len(repaired), 'job')} put back")


def repair(redis: Redis, *, sleep: Callable[[float], None] = time.sleep) -> list[Suspect]:
    """Put jobs in no list back; returns those that were.

    A lane is first in, first out: a queued job that is older than the oldest at its lane's head is in no lane. So a
    million waiting jobs are found to be in order without searching a list.
    """
    suspects = list(_suspects(redis))
    if not suspects:
        return []
    sleep(DOUBT_SECONDS)
    put_back = script(redis, "repair")
    now = rq_time(RedisClock(redis).now())
    return [
        (job_id, lane, status)
        for job_id, lane, status in suspects
        if put_back(keys=_keys(lane, job_id), args=[job_id, status, now, keys.BELL_LIMIT, lane])
    ]


def _suspects(redis: Redis) -> Iterator[Suspect]:
    prefix = keys.job("").encode()
    cursor = 0
    while True:
        found: Any
        cursor, found = redis.scan(cursor, match=f"{keys.job('')}*", count=KEYS_A_CALL, _type="hash")
        names = [name.removeprefix(prefix) for name in found]
        ids = [text(name) for name in names if is_job_id(name)]
        with redis.pipeline(transaction=False) as pipeline:
            for one in ids:
                pipeline.hmget(keys.job(one), "status", "origin", "enqueued_at")
            rows = pipeline.execute()
        oldest_at_head = cache(partial(_oldest_at_head, redis))
        for job_id, lane, status, queued_at in _ours(ids, rows):
            if status == "queued":
                # Times as RQ writes them sort as text; an empty lane has no job that could be older.
                is_lost = not oldest_at_head(lane) or queued_at < oldest_at_head(lane)
            elif status == "scheduled":
                is_lost = redis.zscore(keys.scheduled(lane), job_id) is None
            else:
                is_lost = not redis.zcard(keys.executions(job_id))
            if is_lost:
                yield job_id, lane, status
        if not cursor:
            return


def _ours(ids: Sequence[str], rows: Sequence[Any]) -> Iterator[tuple[str, str, str, str]]:
    prefix = keys.LANE_PREFIX.encode()
    for job_id, (status, origin, queued_at) in zip(ids, rows, strict=True):
        if status in (b"queued", b"scheduled", b"started") and origin and origin.startswith(prefix):
            yield job_id, text(origin.removeprefix(prefix)), text(status), text(queued_at or b"")


def _oldest_at_head(redis: Redis, lane: str) -> str:
    ids = [text(one) for one in redis.lrange(keys.queue(lane), 0, HEAD_JOBS - 1)]
    with redis.pipeline(transaction=False) as pipeline:
        for one in ids:
            pipeline.hget(keys.job(one), "enqueued_at")
        times = [text(one) for one in pipeline.execute() if one]
    return min(times, default="")


def _keys(lane: str, job_id: str) -> list[str]:
    return [
        keys.job(job_id),
        keys.queue(lane),
        keys.intermediate(lane),
        keys.scheduled(lane),
        keys.running(lane),
        keys.executions(job_id),
        keys.ENGINES,
        keys.BELL,
        keys.READY,
        keys.LANES,
    ]
