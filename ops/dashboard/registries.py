"""The lists of a queue by the name that upstream's URLs give them, and one page of such a list."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from redis import Redis
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
from rq.serializers import JSONSerializer
from rq.utils import as_text

from ackfirst.ops.dashboard.reading import ShownQueue

#: Name in the URL of the list of waiting jobs; every other list is a registry.
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


def registry(name: str, queue_name: str, connection: Redis) -> BaseRegistry:
    """One registry of a queue."""
    return REGISTRIES[name](queue_name, connection=connection, serializer=JSONSerializer)


def count(name: str, queue: ShownQueue) -> int:
    """How many entries a list holds, expired ones included."""
    if name == QUEUED:
        return queue.count
    return registry(name, queue.name, queue.connection).get_job_count(cleanup=False)


def page(name: str, queue: ShownQueue, *, offset: int, size: int, newest_first: bool) -> list[Job]:
    """The readable jobs among ``size`` entries of a list, after the first ``offset`` ones in the order asked for."""
    first, last = offset, offset + size - 1
    if newest_first:
        first, last = -last - 1, -first - 1
    job_ids = _ids(name, queue, first, last)
    fetched = [queue.fetch_job(job_id) for job_id in (reversed(job_ids) if newest_first else job_ids)]
    return [job for job in fetched if job is not None]


def _ids(name: str, queue: ShownQueue, first: int, last: int) -> list[str]:
    if name == QUEUED:
        return [as_text(job_id) for job_id in queue.connection.lrange(queue.key, first, last)]
    return registry(name, queue.name, queue.connection).get_job_ids(first, last, cleanup=False)
