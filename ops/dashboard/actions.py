"""What the buttons do, in place of upstream's own code: safe beside running workers, and with clean answers.

Upstream's *compact* moves the whole queue aside and pushes it back id by id, and its *empty* is one script over the
whole queue: ended half-way, the first loses waiting events, and the second holds up Redis, and so every callback.
"""

from collections.abc import Iterator
from typing import Any, Final

from flask import Response, current_app, jsonify
from redis import Redis
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.results import Result
from rq.serializers import JSONSerializer
from werkzeug.exceptions import Conflict, NotFound

from ackfirst.ops.dashboard import registries
from ackfirst.ops.dashboard.reading import ShownQueue, UnreadableJobError, readable

#: Ids handled in one round trip: well under a millisecond of Redis's time.
CHUNK: Final = 200

# KEYS[1] queue; ARGV[1] most ids to take, ARGV[2] prefix of job keys, ARGV[3] prefix of result keys. Returns ids taken.
_EMPTY_CHUNK: Final = """
for taken = 0, tonumber(ARGV[1]) - 1 do
  local id = redis.call('LPOP', KEYS[1])
  if not id then return taken end
  redis.call('DEL', ARGV[2] .. id, ARGV[2] .. id .. ':dependents', ARGV[3] .. id)
end
return tonumber(ARGV[1])
"""

_RESULT_PREFIX: Final[str] = Result.get_key("")  # type: ignore[no-untyped-call] # rq 3.0 does not annotate it


def requeue(job_id: str) -> Response:
    """Put one failed job back into its queue. 404: no such job, 409: it has not failed."""
    _requeue(job_id, _connection())
    return _done()


def requeue_all(queue_name: str) -> Response:
    """Put every failed job of a queue back; one that is gone or unreadable is passed over, and counted."""
    connection = _connection()
    failed = registries.registry("failed", queue_name, connection)
    outcomes = [_tries_requeue(job_id, connection) for job_id in failed.get_job_ids(cleanup=False)]
    return _done(count=sum(outcomes), skipped=len(outcomes) - sum(outcomes))


def delete(job_id: str) -> Response:
    """Delete one job. 404: no such job, 409: it is running, and its worker would write half of it anew."""
    _delete(job_id, _connection())
    return _done()


def empty(queue_name: str, registry_name: str) -> Response:
    """Delete every job of one list of a queue, chunk by chunk. 409: the list of running jobs."""
    connection = _connection()
    if registry_name == "started":
        raise Conflict("Running jobs cannot be deleted.")
    if registry_name == registries.QUEUED:
        return _done(count=_empty_queue(queue_name, connection))
    registry = registries.registry(registry_name, queue_name, connection)
    for job_id in registry.get_job_ids(cleanup=False):
        try:
            _delete(job_id, connection)
        except (NotFound, Conflict):
            connection.zrem(registry.key, job_id)
    return _done()


def compact(queue_name: str) -> Response:
    """Strike ids without a job off a queue, and touch no other."""
    connection = _connection()
    queue = ShownQueue(queue_name, connection=connection)
    stale = [job_id for chunk in _chunks(queue) for job_id in _without_job(chunk, connection)]
    for job_id in stale:
        connection.lrem(queue.key, 1, job_id)
    return _done(count=len(stale))


def _requeue(job_id: str, connection: Redis) -> None:
    job = _fetch(job_id, connection)
    try:
        job.requeue()
    except InvalidJobOperation as error:
        state = job.get_status(refresh=False).value
        raise Conflict(f"Only a failed job can be requeued; this one is {state}.") from error


def _tries_requeue(job_id: str, connection: Redis) -> bool:
    try:
        _requeue(job_id, connection)
    except (NotFound, Conflict):
        return False
    return True


def _delete(job_id: str, connection: Redis) -> None:
    job = _fetch(job_id, connection)
    if job.get_status(refresh=False) == JobStatus.STARTED:
        raise Conflict("A running job cannot be deleted.")
    job.delete()


def _fetch(job_id: str, connection: Redis) -> Job:
    try:
        with readable(job_id):
            return Job.fetch(job_id, connection=connection, serializer=JSONSerializer)
    except NoSuchJobError as error:
        raise NotFound("There is no such job (any more).") from error
    except UnreadableJobError as error:
        raise Conflict("This job cannot be read: it is not what RQ writes.") from error


def _empty_queue(queue_name: str, connection: Redis) -> int:
    take = connection.register_script(_EMPTY_CHUNK)
    key = ShownQueue(queue_name, connection=connection).key
    total = 0
    while True:
        taken = int(take(keys=[key], args=[CHUNK, Job.redis_job_namespace_prefix, _RESULT_PREFIX]))
        total += taken
        if taken < CHUNK:
            return total


def _chunks(queue: ShownQueue) -> Iterator[list[str]]:
    # Ids that move forward between two chunks may be missed; the next compaction finds them.
    for offset in range(0, queue.count, CHUNK):
        yield queue.get_job_ids(offset, CHUNK)


def _without_job(job_ids: list[str], connection: Redis) -> list[str]:
    with connection.pipeline(transaction=False) as pipeline:
        for job_id in job_ids:
            pipeline.exists(Job.key_for(job_id))
        return [job_id for job_id, exists in zip(job_ids, pipeline.execute(), strict=True) if not exists]


def _connection() -> Redis:
    connection: Redis = current_app.redis_conn  # type: ignore[attr-defined] # where upstream looks for it
    return connection


def _done(**fields: Any) -> Response:
    return jsonify(status="OK", **fields)
