"""Build the parts of RQ's job hash that depend on an envelope and on the settings; ``enqueue.lua`` writes the hash.

RQ's ``Queue.enqueue`` needs two round trips and a thread; writing its hash ourselves takes one round trip a batch.
Fields that RQ reads as absent when they are empty (callback names, ``started_at``, ``worker_name``…) are left out: half
a kilobyte less for every waiting event. ``tests/integration/test_job_contract.py`` compares what ``Enqueuer.enqueue``
wrote with ``Queue.create_job().to_dict()``; in ``test_worker_stock.py`` a stock ``rq worker`` runs it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.envelope import Envelope

#: The only function that a job may name, with one argument: the envelope's text. Workers refuse any other, so that
#: access to Redis alone does not mean execution of code.
FUNCTION: Final = "ackfirst.workers.jobs.process"

#: How long a finished job stays visible. Long enough for a look at it; each takes memory.
RESULT_TTL_SECONDS: Final = 300


def rq_time(now: float) -> str:
    """Format Unix seconds as RQ writes them in a job hash (``rq/utils.py``: ``utcformat``)."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """Time limits and retries of a job, in seconds."""

    timeout: int
    """Longest run of the job's function: of all handlers of one event together."""
    result_ttl: int
    """How long a finished job stays visible."""
    failure_ttl: int
    """How long a dead letter is kept."""
    retry_intervals: tuple[int, ...]
    """Delay before each retry; as many retries as values. A stock ``rq worker`` follows them as they stand."""
    is_recorded: bool = False
    """Whether the record is on."""


def job_data(envelope: Envelope) -> bytes:
    """Serialize the call of the envelope's job as RQ's JSONSerializer does."""
    return orjson.dumps([FUNCTION, None, [envelope.encode()], {}])


def shared_fields(options: JobOptions) -> dict[str, str | bytes | int]:
    """Build the fields that are the same in the hash of every job."""
    fields: dict[str, str | bytes | int] = {
        "timeout": options.timeout,
        "result_ttl": options.result_ttl,
        "failure_ttl": options.failure_ttl,
    }
    if options.retry_intervals:
        fields["retries_left"] = len(options.retry_intervals)
        fields["retry_intervals"] = orjson.dumps(options.retry_intervals)
    if options.is_recorded:
        fields[keys.RECORDED] = 1
    return fields
