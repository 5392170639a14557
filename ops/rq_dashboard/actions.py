"""Do what the buttons say: safe beside running workers, with a clean answer, and on record in the log.

Upstream's *compact* moves the whole queue to another key and pushes it back id by id, and its *empty* is one script
over the whole queue. Interrupted half way, the first loses waiting events; the second blocks Redis, and so ingest.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import structlog
from flask import Response, current_app, g, jsonify, request
from redis import Redis
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.results import Result
from rq.serializers import JSONSerializer
from werkzeug.exceptions import Conflict, Forbidden, NotFound

from ackfirst.ops.rq_dashboard.reading import QUEUED, ShownQueue, UnreadableJobError, readable, registry

#: Ids handled in one round trip, and listed in one line of the log: well under a millisecond of Redis's time.
CHUNK: Final = 200

# KEYS[1] queue; ARGV[1] most ids to take, ARGV[2] prefix of job keys, ARGV[3] prefix of result keys. Returns the ids.
_EMPTY_CHUNK: Final = """
local taken = redis.call('LPOP', KEYS[1], ARGV[1]) or {}
for _, id in ipairs(taken) do
  redis.call('DEL', ARGV[2] .. id, ARGV[2] .. id .. ':dependents', ARGV[3] .. id)
end
return taken
"""

_RESULT_PREFIX: Final[str] = Result.get_key("")  # type: ignore[no-untyped-call] # rq 3.0 does not annotate it

log = structlog.get_logger(__name__)


def requeue(job_id: str) -> Response:
    """Put one failed job back into its queue. 404: no such job, 409: it has not failed."""
    _requeue(job_id, _connection())
    return _done("requeued", job_ids=[job_id])


def requeue_all(queue_name: str) -> Response:
    """Put every failed job of a queue back; one that is gone or unreadable is passed over, and counted."""
    connection = _connection()
    failed = registry("failed", queue_name, connection)
    outcomes = [_try_requeue(job_id, connection) for job_id in failed.get_job_ids(cleanup=False)]
    return _done("requeued", queue=queue_name, count=sum(outcomes), skipped=len(outcomes) - sum(outcomes))


def delete(job_id: str) -> Response:
    """Delete one job. 403: not allowed, 404: no such job, 409: it runs, and its worker would write half of it anew."""
    _check_deletion_allowed()
    job = _delete(job_id, _connection())
    return _done("deleted", queue=job.origin, job_ids=[job_id])


def empty(queue_name: str, registry_name: str) -> Response:
    """Delete every job of one list of a queue, chunk by chunk. 403: not allowed, 409: the list of running jobs."""
    _check_deletion_allowed()
    if registry_name == "started":
        raise Conflict("Running jobs cannot be deleted.")
    chunks = _emptied_queue(queue_name) if registry_name == QUEUED else _emptied_registry(queue_name, registry_name)
    total = 0
    for job_ids in chunks:
        _record("deleted", queue=queue_name, list=registry_name, job_ids=job_ids)
        total += len(job_ids)
    return jsonify(status="OK", count=total)


def compact(queue_name: str) -> Response:
    """Remove ids without a job from a queue, and touch no other."""
    connection = _connection()
    queue = ShownQueue(queue_name, connection=connection)
    # Ids that move forward between two chunks may be missed; the next compaction finds them.
    chunks = (queue.get_job_ids(offset, CHUNK) for offset in range(0, queue.count, CHUNK))
    stale = [job_id for chunk in chunks for job_id in _without_job(chunk, connection)]
    for job_id in stale:
        connection.lrem(queue.key, 1, job_id)
    return _done("compacted", queue=queue_name, count=len(stale))


def _check_deletion_allowed() -> None:
    # Upstream only hides the buttons (and answers 200): a request by hand must not get further.
    if current_app.config["RQ_DASHBOARD_DISABLE_DELETE"]:
        raise Forbidden("Deleting throws acknowledged events away. To allow it: ackfirst web --allow-delete.")


def _requeue(job_id: str, connection: Redis) -> None:
    job = _fetch(job_id, connection)
    try:
        job.requeue()
    except InvalidJobOperation as error:
        state = job.get_status(refresh=False).value
        raise Conflict(f"Only a failed job can be requeued; this one is {state}.") from error


def _try_requeue(job_id: str, connection: Redis) -> bool:
    try:
        _requeue(job_id, connection)
    except (NotFound, Conflict):
        return False
    return True


def _delete(job_id: str, connection: Redis) -> Job:
    job = _fetch(job_id, connection)
    if job.get_status(refresh=False) == JobStatus.STARTED:
        raise Conflict("A running job cannot be deleted.")
    job.delete()
    return job


def _fetch(job_id: str, connection: Redis) -> Job:
    try:
        with readable(job_id):
            return Job.fetch(job_id, connection=connection, serializer=JSONSerializer)
    except NoSuchJobError as error:
        raise NotFound("There is no such job (any more).") from error
    except UnreadableJobError as error:
        raise Conflict("This job cannot be read: RQ did not write it.") from error


def _emptied_queue(queue_name: str) -> Iterator[list[str]]:
    connection = _connection()
    take = connection.register_script(_EMPTY_CHUNK)
    key = ShownQueue(queue_name, connection=connection).key
    while taken := take(keys=[key], args=[CHUNK, Job.redis_job_namespace_prefix, _RESULT_PREFIX]):
        yield [job_id.decode(errors="backslashreplace") for job_id in taken]


def _emptied_registry(queue_name: str, registry_name: str) -> Iterator[list[str]]:
    connection = _connection()
    jobs = registry(registry_name, queue_name, connection)
    job_ids = jobs.get_job_ids(cleanup=False)
    for start in range(0, len(job_ids), CHUNK):
        chunk = job_ids[start : start + CHUNK]
        for job_id in chunk:
            try:
                _delete(job_id, connection)
            except (NotFound, Conflict):
                connection.zrem(jobs.key, job_id)
        yield chunk


def _without_job(job_ids: Sequence[str], connection: Redis) -> list[str]:
    with connection.pipeline(transaction=False) as pipeline:
        for job_id in job_ids:
            pipeline.exists(Job.key_for(job_id))
        return [job_id for job_id, exists in zip(job_ids, pipeline.execute(), strict=True) if not exists]


def _connection() -> Redis:
    connection: Redis = current_app.redis_conn  # type: ignore[attr-defined] # where upstream looks for it
    return connection


def _done(action: str, **fields: Any) -> Response:
    _record(action, **fields)
    return jsonify(status="OK", **{name: value for name, value in fields.items() if name in ("count", "skipped")})


def _record(action: str, **fields: Any) -> None:
    """Write the line of the log that says who changed what."""
    event = f"web.{action}"
    log.info(event, **fields, user=g.user, remote=request.remote_addr)
