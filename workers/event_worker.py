"""The engine: a real RQ worker that serves many lanes, survives Redis, and stops without leaving a job behind."""

import time
from collections.abc import Callable
from typing import Final

from redis import Redis
from redis.client import Pipeline
from rq import worker_registration
from rq.job import Job, JobStatus
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.suspension import is_suspended
from rq.utils import now
from rq.worker import WorkerStatus

from shared import keys, masking
from workers.aside import Aside
from workers.event_job import EventJob
from workers.lanes import Lanes, Taken
from workers.patience import OUTAGES, Patience
from workers.reference import Reference
from workers.steady_worker import SteadyWorker

#: Seconds between two signs of life in Redis while nothing else is written.
HEARTBEAT: Final = 5.0
#: Seconds between two looks for new lanes, and at whether ``rq suspend`` was called.
LOOK: Final = 1.0
#: Seconds for which an idle worker waits for the bell; a stop is noticed no later.
IDLE: Final = 1
#: The same for a worker that must not take the bell from others, because it is pinned or suspended.
OWN_IDLE: Final = 0.1


class EventWorker(SteadyWorker):
    """An RQ worker in every respect that others can see: registration, heartbeats, states, registries, commands.

    ``run`` takes the place of ``work``: RQ's loop ends at the first error of Redis, and serves several queues without
    the intermediate list that saves a job from a crash. RQ's maintenance is the janitor's: it would charge a retry.
    """

    def __init__(
        self,
        connection: Redis,
        process: Callable[[str, Job], str],
        *,
        lanes: Lanes,
        aside: Aside,
        reference: Reference,
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
        idle: int = IDLE,
    ) -> None:
        self._idle_seconds = idle  # before RQ asks for ``dequeue_timeout``
        super().__init__(
            [keys.queue_name(lane) for lane in lanes.names], connection, name=lanes.engine, patience=patience
        )
        self._process = process
        self._lanes = lanes
        self._aside = aside
        self._reference = reference
        self._clock = clock
        self._next_heartbeat = 0.0
        self._next_look = 0.0
        self._suspended = False
        self._rung = False

    @property
    def dequeue_timeout(self) -> int:
        """Seconds; RQ derives the time limit of its socket from it."""
        return self._idle_seconds

    def run(self, *, burst: bool = False) -> int:
        """Work until a stop signal, or with ``burst`` until all lanes are empty; how many jobs were run."""
        self.listen_to_signals()
        done = 0
        try:
            self._patience(self._arrive)
            while (worked := self._patience(lambda: self._step(burst=burst))) is not None:
                done += worked
        finally:
            self._leave()
        return done

    def _arrive(self) -> None:
        if self._stop_requested:
            return
        self.birth_date = now()
        self.set_state(WorkerStatus.STARTED)
        self._announce()
        self.subscribe()  # type: ignore[no-untyped-call]  # RQ's

    def _step(self, *, burst: bool) -> int | None:
        """Run one job, or wait for one: how many were run, None to end."""
        if self._stop_requested:
            return None
        self.keep_listening()
        self._look_around()
        taken = None if self._suspended else self._take()
        if taken is None:
            return None if burst else self._idle()
        job = self._job(taken)
        if job is None:
            return 0
        self.execute_job(job, self._queue(taken.lane))
        return 1

    def _take(self) -> Taken | None:
        taken = self._lanes.take()
        if taken is None and self._rung and self._meet_lanes():  # the bell may have rung for a new lane
            taken = self._lanes.take()
        self._rung = False
        return taken

    def _idle(self) -> int:
        state = WorkerStatus.SUSPENDED if self._suspended else WorkerStatus.IDLE
        if self.get_state() != state:
            self.set_state(state)
        if self._lanes.is_pinned or self._suspended:
            time.sleep(OWN_IDLE)
        else:
            self._rung = self._lanes.wait(self._idle_seconds)
        return 0

    def _look_around(self) -> None:
        if self._clock() < self._next_look:
            return
        self._next_look = self._clock() + LOOK
        self._suspended = bool(is_suspended(self.connection))
        self._meet_lanes()
        self._reference.calibrate()
        self.heartbeat()

    def _meet_lanes(self) -> bool:
        changed = self._lanes.discover()
        if changed:
            self.queues = [self._queue(lane) for lane in self._lanes.names]
            self._announce()
        return changed

    def _queue(self, lane: str) -> Queue:
        name = keys.queue_name(lane)
        return Queue(name, connection=self.connection, job_class=EventJob, serializer=JSONSerializer)

    def _job(self, taken: Taken) -> EventJob | None:
        """The job; None, and out of the way, when there is none to be made of what was taken."""
        try:
            job = EventJob(taken.job_id, connection=self.connection, serializer=JSONSerializer)
            job.restore(taken.fields)
        except Exception as error:  # noqa: BLE001 - whatever a stranger wrote there, it must not end the worker
            reason = masking.numbers(f"the job hash cannot be read: {error!r}")
            self._aside.put(taken.lane, "taken", taken.job_id, reason, job_id=taken.job_id, hands=self.name)
            return None
        if job.get_status(refresh=False) is JobStatus.FINISHED:  # its id was pushed twice, by a repeated write
            self._lanes.drop(taken)
            return None
        job.origin = keys.queue_name(taken.lane)
        job.process = self._process
        job.clock = self._reference.now
        return job

    # Signs of life
    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Prolong this worker's life in Redis; alone no more often than every ``HEARTBEAT`` seconds."""
        if pipeline is not None:
            super().heartbeat(timeout, pipeline)
        elif self._clock() >= self._next_heartbeat:
            self._announce()

    def _announce(self) -> None:
        """Write who and where this worker is, also when Redis has forgotten it."""
        self._next_heartbeat = self._clock() + HEARTBEAT
        with self.connection.pipeline() as pipeline:
            super().heartbeat(None, pipeline)
            pipeline.hset(self.key, mapping={**self.serialize(), "state": self.get_state()})
            worker_registration.register(self, pipeline)
            pipeline.hsetnx(keys.ENGINES, self.name, 0)
            pipeline.execute()

    def _leave(self) -> None:
        try:
            if not self.connection.hexists(keys.HANDS, self.name):  # else the janitor is to find the job
                self.connection.hdel(keys.ENGINES, self.name)
            self.teardown()  # type: ignore[no-untyped-call]  # RQ's
        except OUTAGES as error:
            self._events.warning("redis.unavailable", error=repr(error))
