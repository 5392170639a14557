"""An RQ worker that outlives outages of Redis and stops between jobs.

Everything here replaces a method of RQ 3.0 (``rq/worker/base.py``) by one that waits for Redis, or does less.
"""

import itertools
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import structlog
from redis import Redis
from redis.client import Pipeline, PubSub, PubSubWorkerThread
from redis.exceptions import ConnectionError  # noqa: A004 - redis-py's name for it
from rq.command import parse_payload
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty
from rq.utils import now
from rq.worker import SimpleWorker

from ackfirst.shared import masking
from ackfirst.shared.queue import keys
from ackfirst.workers.engine.event_job import FOR_EVER, EventJob
from ackfirst.workers.engine.fetched_job import FetchedJob
from ackfirst.workers.engine.in_flight import Call
from ackfirst.workers.processing.outcome import EventEnding, Outcome
from ackfirst.workers.processing.outcome_record import entry_of
from ackfirst.workers.processing.report import HandlersFailed
from ackfirst.workers.recovery.rejects import Rejects
from ackfirst.workers.replies import printable
from ackfirst.workers.unavailable import OUTAGES, Retry

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Seconds after which a silent worker counts as dead in ``rq info``, less the 60 that RQ adds.
WORKER_TTL_SECONDS: Final = 30
#: Characters of an error that are logged: a job that is not ours may quote itself at any length.
LONGEST_ERROR: Final = 500
#: Characters of a traceback that RQ keeps with a dead letter.
LONGEST_TRACEBACK: Final = 50_000
#: How often a job's failure is written to a Redis that answers, but does not take it.
TRIES: Final = 3
#: Seconds within which a second stop signal is the same one: Ctrl-C reaches a process by two roads.
SAME_SIGNAL_SECONDS: Final = 1.0
#: Seconds between two attempts to listen for RQ's commands again.
LISTEN_PAUSE_SECONDS: Final = 2.0


class _NoPenalty(BaseDeathPenalty):
    """Handlers have their own timeouts; outside them a worker only waits for Redis, and that wait has no end."""

    def setup_death_penalty(self) -> None:
        """Do nothing."""

    def cancel_death_penalty(self) -> None:
        """Do nothing."""


class RqWorker(SimpleWorker):
    """Ends jobs as RQ does, through outages; ``run`` of the subclass watches ``_stop_requested`` between jobs.

    ``end_by_rq`` is for one thread, whichever it is: RQ's way of ending a job is not made for two at once.
    """

    death_penalty_class = _NoPenalty
    job_class = EventJob
    log_result_lifespan = False

    def __init__(
        self,
        queues: list[str],
        connection: Redis,
        *,
        name: str,
        retry: Retry,
        rejects: Rejects,
        process: Callable[[str, Job], str],
        clock: Callable[[], float],
        is_recorded: bool,
    ) -> None:
        """``process`` runs a job from its text; ``clock`` gives the Unix seconds by which retries are scheduled.

        ``is_recorded`` says whether the record is on.
        """
        super().__init__(
            queues,
            name=name,
            connection=connection,
            serializer="json",
            worker_ttl=WORKER_TTL_SECONDS,
            log_job_description=False,
        )
        self._retry = retry
        self._rejects = rejects
        self._process = process
        self._clock = clock
        self._is_recorded = is_recorded
        self._to_stop: set[str] = set()
        self._stop_asked_at = 0.0
        self.is_stop_forced = False
        """Whether the operator does not want to wait for what runs."""
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
        """Let go of the job in the transaction that settles it: it has not killed this worker. Record its outcome."""
        super().cleanup_execution(job, pipeline, execution)
        if isinstance(job, EventJob) and job.outcome is not None:
            pipeline.xadd(keys.RECORD, entry_of([job.outcome]))
            held = keys.HELD_SECONDS + self._clock()
            pipeline.zadd(job.finished_job_registry.key, {job.id: held}, xx=True)
        pipeline.hdel(keys.in_flight(self.name), job.id)
        pipeline.hdel(job.key, keys.KILLS)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Log what RQ would log, without the job's arguments: they are a person's number and text."""
        error = exc_info[1]
        if not isinstance(error, HandlersFailed):  # ``event.processed`` has reported those
            self._events.error("job.failed", job_id=job.id, queue=job.origin, error=repr(error)[:LONGEST_ERROR])

    def _pubsub_exception_handler(self, exc: Exception, pubsub: PubSub, pubsub_thread: PubSubWorkerThread) -> None:  # noqa: ARG002 - RQ's signature
        """Keep listening for RQ's commands, through an outage and after a command that is none."""
        if not isinstance(exc, OUTAGES):
            self._events.warning("command.unreadable", error=repr(exc)[:LONGEST_ERROR])
        time.sleep(LISTEN_PAUSE_SECONDS)

    def unsubscribe(self) -> None:
        """Stop listening for RQ's commands.

        RQ wakes the listening thread before it tells it to end. A thread that is faster listens for another minute,
        and the stop waits a second for it: here it is told first.
        """
        if self.pubsub_thread:
            self.pubsub_thread.stop()
        super().unsubscribe()  # type: ignore[no-untyped-call]  # RQ's

    def handle_payload(self, message: Any) -> None:
        """Obey one of RQ's commands. To stop a job marks it: it is not tried again when it fails.

        RQ's own method asks for the one job that a worker runs; here there are as many as threads.
        """
        payload = parse_payload(message)
        if payload["command"] in ("stop-job", "stop-execution"):
            self._to_stop.add(payload["job_id"])
        else:
            super().handle_payload(message)  # type: ignore[no-untyped-call]  # RQ's

    def end_by_rq(self, fetched: FetchedJob, call: Call | None, outcome: Outcome | None, /) -> bool:
        """Let RQ end a job by running ``call``, or what the job itself names. False when there is no such job.

        ``outcome`` is recorded in the transaction that ends it.
        """
        job = self._retry(lambda: self._job(fetched))
        if job is None:
            return False
        if call is not None:
            started = job.started_at

            def process(_text: str, job: Job) -> str:
                job.started_at = started  # the handlers have run already
                return call(job)

            job.process = process
        if job.id in self._to_stop:
            self._to_stop.discard(job.id)
            self._stopped_job_id = job.id
            if outcome is not None and outcome.ending is EventEnding.RETRIED:  # RQ does not retry what was stopped
                outcome = replace(outcome, ending=EventEnding.DEAD, reason="stopped by an operator")
        if outcome is not None and self._is_recorded:
            job.outcome = outcome
            job.result_ttl = FOR_EVER
        execution = Execution(fetched.execution_id, fetched.job_id, self.connection, worker_name=self.name)
        execution.created_at = job.started_at or execution.created_at
        self.perform_job(job, self.queue_of(fetched.lane), execution)
        return True

    def _job(self, fetched: FetchedJob) -> EventJob | None:
        """Read the job's hash; None, and a record in ``ackfirst rejects``, when it cannot be read."""
        try:
            job = EventJob(fetched.job_id, connection=self.connection, serializer=JSONSerializer)
            job.refresh()  # type: ignore[no-untyped-call]  # RQ's
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001 - whatever was written there, it must not end the worker
            reason = masking.numbers(f"the job hash cannot be read: {error!r}")
            entry = f"{fetched.job_id}:{fetched.execution_id}"
            self._rejects.put(fetched.lane, "running", entry, reason, job_id=fetched.job_id, engine=self.name)
            return None
        job.origin = keys.queue_name(fetched.lane)
        job.process = self._process
        job.clock = self._clock
        return job

    def queue_of(self, lane: str) -> Queue:
        """RQ's queue of a lane."""
        name = keys.queue_name(lane)
        return Queue(name, connection=self.connection, job_class=EventJob, serializer=JSONSerializer)

    def listen_to_signals(self) -> None:
        """Let SIGTERM and SIGINT ask this worker to stop."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self.request_stop)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's signature
        """Note that the worker is to stop; a second time, that what runs is to be given back.

        An exception here could strike between taking a job and starting it, or get lost in logging.
        """
        if not self._stop_requested:
            self._stop_requested = True
            self._shutdown_requested_date = now()
            self._stop_asked_at = time.monotonic()
        elif time.monotonic() - self._stop_asked_at >= SAME_SIGNAL_SECONDS:
            self.is_stop_forced = True


def _storable(traceback: str) -> str:
    """The traceback as RQ can write it, without the middle of a very long one: every dead letter keeps its own."""
    half = LONGEST_TRACEBACK // 2
    if len(traceback) > LONGEST_TRACEBACK:
        traceback = f"{traceback[:half]}\n… {len(traceback) - 2 * half} characters left out …\n{traceback[-half:]}"
    return printable(traceback)
