"""Decide when a failed handler runs again, and tell RQ.

RQ decides by two fields of the job (``rq/job.py``: ``should_retry``, ``get_retry_interval``). They are RQ's plan for a
job whose worker died; the attempts of each handler are in its marks. So a retry of ours does not use up those of RQ,
and any RQ worker follows.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, Protocol

#: Share by which a wait is made longer or shorter, so that what failed together is not retried together.
JITTER: Final = 0.2


class Schedule:
    """Waits before the retries of a handler, in seconds; the last one repeats for handlers with more retries.

    ``random`` returns numbers from 0 to 1.
    """

    def __init__(self, waits: Sequence[float], *, random: Callable[[], float]) -> None:
        self._waits = tuple(waits)
        self._random = random

    def __len__(self) -> int:
        return len(self._waits)

    def wait(self, attempts: int) -> float:
        """Seconds between the ``attempts``-th attempt, which failed, and the next one."""
        base = self._waits[min(attempts, len(self._waits)) - 1] if self._waits else 0.0
        return base * (1 + JITTER * (2 * self._random() - 1))


class RetryableJob(Protocol):
    """The fields of ``rq.job.Job`` by which RQ decides about a retry."""

    retries_left: int | None
    retry_intervals: list[int] | None


def schedule_retry(job: RetryableJob, seconds: int) -> None:
    """Let RQ run a job that is about to raise again in ``seconds``; 0: at once, at the end of its lane."""
    # RQ takes one off when it schedules the retry, and uses the first interval while intervals are fewer than retries.
    job.retries_left = max(job.retries_left or 0, 1) + 1
    job.retry_intervals = [seconds]


def fail_permanently(job: RetryableJob) -> None:
    """Let RQ put a job that is about to raise into its failed registry: a dead letter."""
    job.retries_left = 0


def whole_seconds(wait: float) -> int:
    """Round a wait up: RQ schedules in whole seconds, never earlier than asked, and a wait never becomes none."""
    return max(0, math.ceil(wait))
