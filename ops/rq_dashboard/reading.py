"""Read RQ's jobs, queues and workers for the dashboard: JSON only, without side effects, past any bad entry.

RQ's own classes unpickle by default, and tidy up while they read (``rq/queue.py``: fetch_job, ``rq/worker/base.py``:
find_by_key, get_current_executions). A page that is looked at must not change what it shows.
"""

import heapq
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, Self

from flask import current_app
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.executions import Execution
from rq.job import Job
from rq.registry import (
    BaseRegistry,
    CanceledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.results import Result
from rq.serializers import JSONSerializer
from rq.utils import as_text, get_call_string

from ackfirst.ops.rq_dashboard import personal
from ackfirst.shared import masking
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.scripts import source

#: Name in upstream's URLs of the list of waiting jobs; every other list is a registry.
QUEUED: Final = "queued"

REGISTRIES: Final[Mapping[str, type[BaseRegistry]]] = MappingProxyType(
    {
        "canceled": CanceledJobRegistry,
        "deferred": DeferredJobRegistry,
        "failed": FailedJobRegistry,
        "finished": FinishedJobRegistry,
        "scheduled": ScheduledJobRegistry,
        "started": StartedJobRegistry,
    }
)

#: Flask setting: show arguments, texts and phone numbers. Upstream's own name for its half of it.
SHOW_PERSONAL: Final = "RQ_DASHBOARD_SHOW_FULL_ARGS"

#: Most queues of a page: it reads a dozen keys of each, and upstream's page of ten thousand never loads.
LISTED_QUEUES: Final = 200

# What RQ raises, unwrapped, on a hash that it did not write.
_MALFORMED: Final = (ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error)

# The same, and what it raises for the name and the arguments of the function.
_UNUSABLE: Final = (DeserializationError, *_MALFORMED)


class UnreadableJobError(Exception):
    """A job hash exists, but RQ did not write it."""


@contextmanager
def readable(job_id: str) -> Iterator[None]:
    """Turn whatever RQ raises on a malformed hash, while it fetches one job, into ``UnreadableJobError``."""
    try:
        yield
    except (RedisError, NoSuchJobError):
        raise
    except _MALFORMED as error:
        raise UnreadableJobError(job_id) from error


class ShownJob(Job):
    """A job that is shown. Never save it: what it returns may be masked."""

    @classmethod
    def fetch(cls, id: str, connection: Redis | None = None, serializer: Any = None) -> Self:  # noqa: A002, ARG003 - RQ's signature
        """Read one job.

        Raises:
            NoSuchJobError: There is none of this id.
            UnreadableJobError: RQ cannot read it.
        """
        with readable(id):
            job = super().fetch(id, connection=connection, serializer=JSONSerializer)
        assert isinstance(job, cls)  # noqa: S101 - RQ's annotation says Job, its code says cls
        return job

    def latest_result(self, timeout: int = 0) -> Result | None:
        """Return the newest stored result, masked; None as well when it cannot be read."""
        try:
            result = super().latest_result(timeout)
        except _MALFORMED:
            return None
        if result is not None and not _shows_personal():
            result.exc_string = self._without_personal(result.exc_string)
            result.return_value = personal.masked(result.return_value)
        return result

    def _without_personal(self, traceback: str | None) -> str | None:
        if not traceback:
            return traceback
        try:
            arguments = [*self.args, *self.kwargs.values()]
        except _UNUSABLE:
            arguments = []
        return masking.numbers(personal.without_texts(traceback, arguments), personal.numbers_in(arguments))

    def get_meta(self, refresh: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - RQ's signature
        """Return the job's metadata, masked; empty when it cannot be read."""
        try:
            meta = super().get_meta(refresh)
        except _MALFORMED:
            return {}
        return meta if _shows_personal() else dict(personal.masked(meta))

    @property
    def dependency_ids(self) -> list[bytes]:  # type: ignore[override] # upstream decodes them (written for RQ 2)
        """Return the ids of the jobs that this one waits for."""
        return [job_id.encode() for job_id in super().dependency_ids]

    def get_call_string(self) -> str:
        """Return how the Workers page calls the job."""
        return describe(self)


def _fullest_lanes(connection: Redis) -> list[str]:
    script = connection.register_script(source("ackfirst.shared.queue", "lane_depths.lua"))
    prefixes = (keys.queue(""), keys.scheduled(""), keys.failed(""), keys.job(""))
    held: list[tuple[int, str]] = []
    cursor: Any = 0
    while True:
        cursor, *cells = script(keys=[keys.LANES], args=[cursor, 250, *prefixes, 0])
        rows = zip(*(iter(cells),) * 6, strict=True)
        held += [(waiting + retries + dead, as_text(lane)) for lane, waiting, retries, dead, *_ in rows]
        held = heapq.nlargest(LISTED_QUEUES, held)
        if not int(cursor):
            return [lane for _, lane in held]


class ShownQueue(Queue):
    """A queue that is shown."""

    job_class: type[Job] = ShownJob

    @classmethod
    def all(cls, connection: Redis, *args: Any, **kwargs: Any) -> Any:
        """Return the queues to list: all, or of very many the lanes with the most waiting jobs and dead letters."""
        if connection.scard(keys.RQ_QUEUES) <= LISTED_QUEUES:
            return super().all(connection, *args, **kwargs)
        return [cls(keys.queue_name(lane), connection=connection) for lane in _fullest_lanes(connection)]

    def fetch_job(self, job_id: str) -> Job | None:
        """Read one of its jobs; None when it is gone, unreadable or of another queue. RQ's own would remove the id."""
        try:
            job = ShownJob.fetch(job_id, connection=self.connection)
        except (NoSuchJobError, UnreadableJobError):
            return None
        return job if job.origin == self.name else None


class ShownWorker(Worker):
    """A worker that is shown."""

    job_class = ShownJob
    queue_class = ShownQueue

    @classmethod
    def find_by_key(cls, worker_key: str, connection: Redis, *args: Any, **kwargs: Any) -> Any:
        """Read a worker; None when it is gone. RQ's own would remove it from the list."""
        if not connection.exists(worker_key):
            return None
        return super().find_by_key(worker_key, connection, *args, **{**kwargs, "serializer": JSONSerializer})

    def _set_connection(self, connection: Redis) -> Redis:
        # RQ's own raises the time-out of the shared pool to minutes, because a worker blocks on its queue.
        return connection

    def get_current_executions(self, refresh: bool = False) -> list[Execution]:  # noqa: ARG002, FBT001, FBT002 - RQ's signature
        """Return what it runs at this moment. RQ's own would remove what has expired."""
        members = [as_text(member) for member in self.connection.smembers(self.executions_key)]
        executions = [Execution.from_composite_key(member, connection=self.connection) for member in sorted(members)]
        return [execution for execution in executions if self.connection.exists(execution.key)]

    def get_current_job(self) -> Job | None:
        """Read the job that it runs; None as well when that just ended or cannot be read."""
        try:
            return super().get_current_job()
        except (NoSuchJobError, UnreadableJobError):
            return None


def describe(job: Job) -> str:
    """Describe a job in one line, without its arguments unless the operator asked for personal data."""
    if _shows_personal():
        return " · ".join(part for part in (job.description, _call(job)) if part)
    return personal.without_arguments(job.description or _call(job))


def _call(job: Job) -> str:
    try:
        return get_call_string(job.func_name, job.args, job.kwargs) or ""
    except _UNUSABLE:
        return "not a JSON job"


def _shows_personal() -> bool:
    return bool(current_app.config[SHOW_PERSONAL])


def registry(name: str, queue_name: str, connection: Redis) -> BaseRegistry:
    """Return one registry of a queue."""
    return REGISTRIES[name](queue_name, connection=connection, serializer=JSONSerializer)


def count(name: str, queue: ShownQueue) -> int:
    """Count the entries of a list, expired ones included."""
    if name == QUEUED:
        return queue.count
    return registry(name, queue.name, queue.connection).get_job_count(cleanup=False)


def page(name: str, queue: ShownQueue, *, offset: int, size: int, newest_first: bool) -> list[Job]:
    """Read the jobs among ``size`` entries of a list, after the first ``offset`` ones in the order asked for."""
    first, last = offset, offset + size - 1
    if newest_first:
        first, last = -last - 1, -first - 1
    if name == QUEUED:
        job_ids = [as_text(job_id) for job_id in queue.connection.lrange(queue.key, first, last)]
    else:
        job_ids = registry(name, queue.name, queue.connection).get_job_ids(first, last, cleanup=False)
    fetched = [queue.fetch_job(job_id) for job_id in (reversed(job_ids) if newest_first else job_ids)]
    return [job for job in fetched if job is not None]
