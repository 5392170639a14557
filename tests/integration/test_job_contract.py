"""Our job hash is RQ's job hash: held against RQ's own code, and run by RQ's own worker."""

import json
from datetime import UTC, datetime

import redis
from rq import Queue
from rq.job import Job, Retry
from rq.serializers import JSONSerializer

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.job import FUNCTION, JobOptions, job_fields
from tests.support.factories import NOW, make_envelope

OPTIONS = JobOptions(timeout=180, result_ttl=300, failure_ttl=604800, retry_intervals=(5, 30, 120))

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


def test_every_field_is_one_that_rq_writes_with_the_same_value(redis_sync: redis.Redis) -> None:
    envelope = make_envelope()
    theirs = made_by_rq(envelope, redis_sync).to_dict()
    ours = job_fields(envelope, OPTIONS, now=NOW)
    assert set(theirs) - set(ours) == LEFT_OUT
    for name in ("data", "retry_intervals"):  # compressed there, and JSON with spaces
        theirs.pop(name)
    assert {name: str(ours[name]) for name in theirs if name in ours} == {
        name: str(getattr(value, "value", value)) for name, value in theirs.items() if name in ours
    }


def test_rq_reads_back_the_job_that_it_would_have_made_itself(redis_sync: redis.Redis) -> None:
    envelope = make_envelope(body="Tea & cake = café? \U0001f375".encode())
    redis_sync.hset(keys.job(envelope.id), mapping=job_fields(envelope, OPTIONS, now=NOW))  # type: ignore[arg-type]
    job = Job.fetch(envelope.id, connection=redis_sync, serializer=JSONSerializer)
    theirs = made_by_rq(envelope, redis_sync)
    for name in ("func_name", "args", "kwargs", "origin", "timeout", "result_ttl", "failure_ttl", "description"):
        assert getattr(job, name) == getattr(theirs, name), name
    assert (job.retries_left, job.retry_intervals) == (theirs.retries_left, theirs.retry_intervals)
    assert (job.created_at, job.enqueued_at) == (theirs.created_at, theirs.enqueued_at)
    assert Envelope.decode(job.args[0]) == envelope


def test_no_retries_are_written_where_none_are_wanted() -> None:
    options = JobOptions(timeout=1, result_ttl=1, failure_ttl=1, retry_intervals=())
    assert not {"retries_left", "retry_intervals"} & set(job_fields(make_envelope(), options, now=NOW))


def test_nothing_but_the_payload_itself_holds_personal_data() -> None:
    fields = job_fields(make_envelope(), OPTIONS, now=NOW)
    assert "447700900417" in json.loads(fields.pop("data"))[2][0]
    assert "447700900417" not in repr(fields)
