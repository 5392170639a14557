"""An RQ worker made steady: Redis may go away and signals may come at any moment, and no job is left behind.

Everything here replaces a method of RQ 3.0 (``rq/worker/base.py``) by one that waits for Redis, or does less.
"""

import itertools
import signal
import time
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import structlog
from redis import Redis
from redis.client import Pipeline, PubSub, PubSubWorkerThread
from redis.exceptions import ConnectionError  # noqa: A004 - redis-py's name for it
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.registry import StartedJobRegistry
from rq.timeouts import BaseDeathPenalty
from rq.utils import now
from rq.worker import SimpleWorker

from ackfirst.shared.queue import keys
from ackfirst.workers.engine.event_job import EventJob
from ackfirst.workers.handlers.verdicts import ForcedStop
from ackfirst.workers.processing.report import HandlersFailed
from ackfirst.workers.redis_retry import OUTAGES, Retry
from ackfirst.workers.replies import printable

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Seconds after which a silent worker counts as dead in ``rq info``, less the 60 that RQ adds.
WORKER_TTL: Final = 30
#: Characters of an error that are logged: a job that is not ours may quote itself at any length.
LONGEST_ERROR: Final = 500
#: Characters of a traceback that RQ keeps with a dead letter.
LONGEST_TRACEBACK: Final = 50_000
#: How often a job's failure is written to a Redis that answers, but does not take it.
TRIES: Final = 3
#: Seconds within which a second stop signal is the same one: Ctrl-C reaches a process by two roads.
SAME_SIGNAL: Final = 1.0
#: Seconds between two attempts to listen for RQ's commands again.
LISTEN_PAUSE: Final = 2.0


class _NoPenalty(BaseDeathPenalty):
    """Handlers have their own timeouts; outside them a worker only waits for Redis, and that wait has no end."""

    def setup_death_penalty(self) -> None:
        """Do nothing."""

    def cancel_death_penalty(self) -> None:
        """Do nothing."""


class SteadyWorker(SimpleWorker):
    """Runs jobs as RQ does, through outages; ``run`` loops of subclasses watch ``_stop_requested`` between jobs."""

    death_penalty_class = _NoPenalty
    job_class = EventJob
    log_result_lifespan = False

    def __init__(self, queues: list[str], connection: Redis, *, name: str, retry: Retry) -> None:
        super().__init__(
            queues,
            name=name,
            connection=connection,
            serializer="json",
            worker_ttl=WORKER_TTL,
            log_job_description=False,
        )
        self._retry = retry
        self._stop_asked_at = 0.0
        self._events: FilteringBoundLogger = structlog.get_logger("workers")

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:  # noqa: FBT001, FBT002 - RQ's signature
        """Do nothing: ``take.lua`` has done it."""

    def handle_execution_ended(self, job: Job, queue: Queue, heartbeat_ttl: int) -> None:  # noqa: ARG002 - RQ's signature
        """Note the time; the job's end follows at once, so it needs no heartbeat."""
        job.ended_at = now()

    def handle_job_success(
        self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry, execution: Execution
    ) -> None:
        """Write the end of a job that returned."""
        finish = super().handle_job_success
        self._retry(lambda: finish(job, queue, started_job_registry, execution))

    def handle_job_failure(
        self,
        job: Job,
        queue: Queue,
        started_job_registry: StartedJobRegistry | None = None,
        exc_string: str = "",
        execution: Execution | None = None,
    ) -> None:
        """Write the retry or the dead letter of a job that raised."""
        write = super().handle_job_failure
        before = job.retries_left, job.get_status(refresh=False), self._stopped_job_id
        tries = itertools.count(1)

        def settle() -> None:
            # RQ only logs when it cannot write this: so be sure of Redis first, and look afterwards.
            self.connection.ping()
            job.retries_left, job._status, self._stopped_job_id = before  # noqa: SLF001 - RQ has no other way back
            write(job, queue, started_job_registry, _storable(exc_string), execution)
            if execution and self._is_registered(job, execution) and next(tries) < TRIES:
                raise ConnectionError("the end of a job was not written")

        self._retry(settle)

    def _is_registered(self, job: Job, execution: Execution) -> bool:
        return self.connection.zscore(job.started_job_registry.key, execution.composite_key) is not None

    def cleanup_execution(self, job: Job, pipeline: Pipeline, execution: Execution | None = None) -> None:
        """Let go of the job in the transaction that settles it: it has not killed this worker."""
        super().cleanup_execution(job, pipeline, execution)
        pipeline.hdel(keys.hands(self.name), job.id)
        pipeline.hdel(job.key, keys.KILLS)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log what RQ would log, without the job's arguments: they are a person's number and text."""
        error = exc_info[1]
        if not isinstance(error, HandlersFailed):  # of which ``event.processed`` has told
            self._events.error("job.failed", job_id=job.id, queue=job.origin, error=repr(error)[:LONGEST_ERROR])

    def _pubsub_exception_handler(self, exc: Exception, pubsub: PubSub, pubsub_thread: PubSubWorkerThread) -> None:  # noqa: ARG002 - RQ's signature
        """Keep listening for RQ's commands, through an outage and after a command that is none."""
        if not isinstance(exc, OUTAGES):
            self._events.warning("command.unreadable", error=repr(exc)[:LONGEST_ERROR])
        time.sleep(LISTEN_PAUSE)

    def listen_to_signals(self) -> None:
        """Let SIGTERM and SIGINT ask this worker to stop."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self.request_stop)

    def keep_listening(self) -> None:
        """Take the signals back where a handler, or a library that it uses, has set other functions for them."""
        ours = all(signal.getsignal(signum) == self.request_stop for signum in (signal.SIGTERM, signal.SIGINT))
        if not ours and not self._stop_requested:
            self.listen_to_signals()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's signature
        """Only note it: an exception here could strike between taking a job and starting it, or get lost in logging."""
        self._stop_requested = True
        self._shutdown_requested_date = now()
        self._stop_asked_at = time.monotonic()
        for again in (signal.SIGTERM, signal.SIGINT):
            signal.signal(again, self.request_force_stop)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as above
        """Break off what runs, once: the job that this concerns is then put back undisturbed.

        Raises:
            ForcedStop: Unless the first signal was just now.
        """
        if time.monotonic() - self._stop_asked_at < SAME_SIGNAL:
            return
        for again in (signal.SIGTERM, signal.SIGINT):
            signal.signal(again, signal.SIG_IGN)
        raise ForcedStop(1)


def _storable(traceback: str) -> str:
    """The traceback as RQ can write it, without the middle of a very long one: every dead letter keeps its own."""
    half = LONGEST_TRACEBACK // 2
    if len(traceback) > LONGEST_TRACEBACK:
        traceback = f"{traceback[:half]}\n… {len(traceback) - 2 * half} characters left out …\n{traceback[-half:]}"
    return printable(traceback)
