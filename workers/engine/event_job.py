"""RQ's job as our worker sees it: it runs one known function, and retries in one transaction."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from redis.client import Pipeline
from rq.job import Job, JobStatus
from rq.queue import Queue

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.job import FUNCTION
from ackfirst.workers.processing.outcome import Outcome
from ackfirst.workers.processing.retry import fail_permanently
from ackfirst.workers.scripts import script

#: ``result_ttl`` by which RQ lets a finished job stay; the recorder lets it go.
FOR_EVER: Final = -1


class ForeignJob(Exception):  # noqa: N818 - what RQ shows of the job, read as a sentence
    """A job that ackfirst did not write: it names another function, which is not even imported."""


class EventJob(Job):
    """A job whose function is bound by the worker that took it: access to Redis alone runs no code."""

    process: Callable[[str, Job], str] | None = None
    """Set by the worker; takes the envelope's text and the job."""
    clock: Callable[[], float] = staticmethod(time.time)
    """Unix seconds by which retries are scheduled; set by the worker."""
    outcome: Outcome | None = None
    """What is recorded in the transaction that ends the job; set by the worker if the record is on."""

    @property
    def func(self) -> Callable[..., Any]:
        """The one function.

        Raises:
            ForeignJob: The job names another one, or calls it in another way; it will not be retried.
        """
        if self.func_name != FUNCTION or self.instance or self.kwargs or not self._has_one_text():
            fail_permanently(self)
            raise ForeignJob(f"the job names {self.func_name!r}: workers run {FUNCTION}(text) and nothing else")
        if self.process is None:
            raise RuntimeError("no worker has taken this job")
        process = self.process
        return lambda text: process(text, self)

    def _has_one_text(self) -> bool:
        return len(self.args) == 1 and isinstance(self.args[0], str)

    # A callback or webhook of a job that ackfirst did not write would be imported or called just like its function.
    @property
    def success_callback(self) -> None:
        """None."""

    @property
    def failure_callback(self) -> None:
        """None."""

    @property
    def stopped_callback(self) -> None:
        """None."""

    def send_webhooks(self, status: str | JobStatus, *, exc_string: str | None = None) -> None:
        """Do nothing."""

    def retry(self, queue: Queue, pipeline: Pipeline) -> None:
        """Put the job back, all of it in ``pipeline``.

        RQ writes the status ``scheduled`` ahead of the transaction (rq/job.py): a worker killed in between would lose
        the job.
        """
        seconds = self.get_retry_interval()
        if not seconds:
            script(self.connection, "make_ready")(
                keys=[keys.READY], args=[queue.name.removeprefix(keys.LANE_PREFIX)], client=pipeline
            )
            super().retry(queue, pipeline)
            return
        self.retries_left = (self.retries_left or 1) - 1
        due = datetime.fromtimestamp(self.clock() + seconds, UTC)
        queue.schedule_job(self, due, pipeline=pipeline)

    def cleanup(self, ttl: int | None = None, pipeline: Pipeline | None = None, remove_from_queue: bool = True) -> None:  # noqa: FBT001, FBT002 - RQ's signature
        """Let the marks go in the transaction that finishes the job."""
        super().cleanup(ttl, pipeline=pipeline, remove_from_queue=remove_from_queue)
        if pipeline is not None and self.get_status(refresh=False) is JobStatus.FINISHED:
            pipeline.delete(keys.marks(self.id))
