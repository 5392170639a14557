"""Tells RQ what to do with a job that is about to raise, in RQ's own terms: any RQ worker follows.

RQ decides by two fields of the job (``rq/job.py``: ``should_retry``, ``get_retry_interval``). They are RQ's plan for a
job whose worker died; ours, by handler, is in the marks. So a retry of ours does not use RQ's up.
"""

from typing import Protocol


class Steerable(Protocol):
    """The part of ``rq.job.Job`` that counts."""

    retries_left: int | None
    retry_intervals: list[int] | None


def again(job: Steerable, seconds: int) -> None:
    """Let RQ run the job again in ``seconds``; 0: at once, at the end of its lane."""
    # RQ takes one off when it schedules the retry, and uses the first interval while intervals are fewer than retries.
    job.retries_left = max(job.retries_left or 0, 1) + 1
    job.retry_intervals = [seconds]


def never_again(job: Steerable) -> None:
    """Let RQ put the job into its failed registry: a dead letter."""
    job.retries_left = 0
