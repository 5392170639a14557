"""The job hash that ``Enqueuer.enqueue`` writes is the one that RQ's own code makes of the same job."""

import json
import zlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
import redis
import redis.asyncio
from rq import Queue
from rq.job import Job, Retry
from rq.serializers import JSONSerializer

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.enqueue import Enqueuer
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.job import FUNCTION, JobOptions
from tests.support.factories import NOW, make_envelope

OPTIONS = JobOptions(timeout=180, result_ttl=300, failure_ttl=604800, retry_intervals=(5, 30, 120))

Write = Callable[..., Awaitable[dict[str, bytes]]]

# RQ writes these as empty strings and reads an absent field the same way.
LEFT_OUT = {
    "success_callback_name",
    "failure_callback_name",
    "stopped_callback_name",
    "started_at",
    "ended_at",
    "last_heartbeat",
    "worker_name",
    "group_id",
}


@pytest.fixture
def write(redis_async: redis.asyncio.Redis, redis_sync: redis.Redis) -> Write:
    """Write an envelope as ingest does; the fixture returns the hash that Redis then has."""

    async def written(envelope: Envelope, options: JobOptions = OPTIONS) -> dict[str, bytes]:
        enqueuer = Enqueuer(redis_async, options, dedupe_seconds=3600)
        assert await enqueuer.enqueue([envelope], now=NOW) == [True]
        return {name.decode(): value for name, value in redis_sync.hgetall(keys.job(envelope.id)).items()}

    return written


def made_by_rq(envelope: Envelope, connection: redis.Redis) -> Job:
    queue = Queue(keys.queue_name(envelope.lane), connection=connection, serializer=JSONSerializer)
    job = queue.create_job(
        FUNCTION,
        args=[envelope.encode()],
        job_id=envelope.id,
        description=envelope.family,
        timeout=OPTIONS.timeout,
        result_ttl=OPTIONS.result_ttl,
        failure_ttl=OPTIONS.failure_ttl,
        retry=Retry(max=3, interval=list(OPTIONS.retry_intervals)),
        status="queued",
    )
    job.created_at = job.enqueued_at = datetime.fromtimestamp(NOW, UTC)
    job.origin = queue.name
    return job


def as_redis_returns_it(value: object) -> bytes:
    value = getattr(value, "value", value)
    return value if isinstance(value, bytes) else str(value).encode()


async def test_every_field_is_one_that_rq_writes_with_the_same_value(write: Write, redis_sync: redis.Redis) -> None:
    envelope = make_envelope()
    theirs = made_by_rq(envelope, redis_sync).to_dict()
    ours = await write(envelope)
    assert set(theirs) - set(ours) == LEFT_OUT
    assert set(ours) - set(theirs) == set()
    differently_spelt = {"data": zlib.decompress(theirs["data"]), "retry_intervals": theirs["retry_intervals"]}
    for name, spelling in differently_spelt.items():  # compressed by RQ, and JSON with spaces
        assert json.loads(ours[name]) == json.loads(spelling), name
    rest = ours.keys() - differently_spelt.keys()
    assert {name: ours[name] for name in rest} == {name: as_redis_returns_it(theirs[name]) for name in rest}


async def test_rq_reads_back_the_job_that_it_would_have_made_itself(write: Write, redis_sync: redis.Redis) -> None:
    envelope = make_envelope(body="Tea & cake = café? \U0001f375".encode())
    await write(envelope)
    job = Job.fetch(envelope.id, connection=redis_sync, serializer=JSONSerializer)
    theirs = made_by_rq(envelope, redis_sync)
    for name in ("func_name", "args", "kwargs", "origin", "timeout", "result_ttl", "failure_ttl", "description"):
        assert getattr(job, name) == getattr(theirs, name), name
    assert (job.retries_left, job.retry_intervals) == (theirs.retries_left, theirs.retry_intervals)
    assert (job.created_at, job.enqueued_at) == (theirs.created_at, theirs.enqueued_at)
    assert Envelope.decode(job.args[0]) == envelope


async def test_rq_finds_the_job_in_its_queue(write: Write, redis_sync: redis.Redis) -> None:
    envelope = make_envelope()
    await write(envelope)
    (queue,) = Queue.all(connection=redis_sync, serializer=JSONSerializer)
    assert (queue.name, queue.job_ids) == (keys.queue_name(envelope.lane), [envelope.id])


async def test_no_retries_are_written_where_none_are_wanted(write: Write) -> None:
    options = JobOptions(timeout=1, result_ttl=1, failure_ttl=1, retry_intervals=())
    assert not {"retries_left", "retry_intervals"} & set(await write(make_envelope(), options))


async def test_nothing_but_the_payload_itself_holds_personal_data(write: Write) -> None:
    fields = await write(make_envelope())
    assert "447700900417" in json.loads(fields.pop("data"))[2][0]
    assert b"447700900417" not in b" ".join(fields.values())
