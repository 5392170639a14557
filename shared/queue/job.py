"""RQ's wrapper of one envelope: the job hash, written as RQ 3.0 itself would write it.

RQ's ``Queue.enqueue`` needs two round trips and a thread; writing its hash ourselves takes one round trip a batch.
``tests/integration/test_job_contract.py`` holds this module against ``Queue.create_job().to_dict()`` and lets a stock
``rq worker`` run the result.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.keys import LANE_PREFIX

#: The one function that a job may name, with one argument: the envelope's text. Workers refuse any other.
FUNCTION: Final = "ackfirst.workers.jobs.process"


def rq_time(now: float) -> str:
    """Unix seconds as RQ writes them in a job hash (``rq/utils.py``: ``utcformat``)."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What RQ must know about every job. All times in seconds."""

    timeout: int
    """After this long RQ ends the job's function. Longer than all handlers of one event together."""
    result_ttl: int
    """How long a finished job stays visible."""
    failure_ttl: int
    """How long a dead letter is kept."""
    retry_intervals: tuple[int, ...]
    """Delay before each retry; as many retries as values. A stock ``rq worker`` follows them as they stand."""


def job_fields(envelope: Envelope, options: JobOptions, *, now: float) -> dict[str, str | bytes | int]:
    """The hash ``rq:job:<envelope.id>`` of a waiting job.

    Fields that RQ reads as absent when they are empty (callback names, ``started_at``, ``worker_name``…) are left out:
    half a kilobyte less for every waiting event.

    Args:
        envelope: What the job carries.
        options: Time limits and retries.
        now: Unix seconds at which the job is queued.
    """
    time = rq_time(now)
    return {
        "status": "queued",
        "origin": LANE_PREFIX + envelope.lane,
        "data": job_data(envelope),
        "description": envelope.family,  # RQ's default would print the arguments: a person's number and text
        "created_at": time,
        "enqueued_at": time,
        **shared_fields(options),
    }


def job_data(envelope: Envelope) -> bytes:
    """The call that RQ is to make, in its JSON serialization."""
    return orjson.dumps([FUNCTION, None, [envelope.encode()], {}])


def shared_fields(options: JobOptions) -> dict[str, str | bytes | int]:
    """The fields of a job hash that all jobs have in common."""
    fields: dict[str, str | bytes | int] = {
        "timeout": options.timeout,
        "result_ttl": options.result_ttl,
        "failure_ttl": options.failure_ttl,
    }
    if options.retry_intervals:
        fields["retries_left"] = len(options.retry_intervals)
        fields["retry_intervals"] = orjson.dumps(options.retry_intervals)
    return fields
