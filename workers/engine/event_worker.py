"""The engine: a real RQ worker that serves many lanes, survives Redis, and stops without leaving a job behind."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from redis import Redis
from redis.client import Pipeline
from rq import worker_registration
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.suspension import is_suspended
from rq.utils import now
from rq.worker import WorkerStatus

from ackfirst.shared import masking
from ackfirst.shared.queue import keys
from ackfirst.workers.engine.ahead import Ahead
from ackfirst.workers.engine.event_job import EventJob
from ackfirst.workers.engine.flow import Call, Flow
from ackfirst.workers.engine.holding import Holding
from ackfirst.workers.engine.in_flight import Hands
from ackfirst.workers.engine.journal import Journal
from ackfirst.workers.engine.lanes import Lanes
from ackfirst.workers.engine.pace import MOST, Pace
from ackfirst.workers.engine.relief import Relief
from ackfirst.workers.engine.steady_worker import SteadyWorker
from ackfirst.workers.engine.supply import Supply
from ackfirst.workers.engine.taken import Taken
from ackfirst.workers.processing.dispatch import Invoke
from ackfirst.workers.processing.processor import Processor
from ackfirst.workers.recovery.redis_clock import RedisClock
from ackfirst.workers.recovery.rejects import Rejects
from ackfirst.workers.redis_retry import OUTAGES, Retry

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

    ``run`` takes the place of ``work``: RQ's loop ends at the first error of Redis, serves several queues without the
    intermediate list that saves a job from a crash, and needs twenty round trips a job, where this one takes and
    settles jobs in batches. RQ's maintenance is the janitor's: it would charge a retry.
    """

    def __init__(
        self,
        connection: Redis,
        processor: Processor,
        invoke: Invoke,
        *,
        lanes: Lanes,
        pace: Pace,
        journal: Journal,
        rejects: Rejects,
        redis_clock: RedisClock,
        retry: Retry,
        clock: Callable[[], float] = time.monotonic,
        idle: int = IDLE,
        most: int = MOST,
    ) -> None:
        self._idle_seconds = idle  # before RQ asks for ``dequeue_timeout``
        super().__init__([keys.queue_name(lane) for lane in lanes.names], connection, name=lanes.engine, retry=retry)
        self._processor = processor
        self._lanes = lanes
        self._ahead = Ahead(connection)
        hands = Hands(connection, engine=lanes.engine)
        self._holding = Holding(lanes, hands, journal, self._ahead, retry=retry)
        self._supply = Supply(lanes, self._holding, pace, most=most)
        by_rq, stops = self._by_rq, lambda: self._stop_requested
        self._flow = Flow(processor, invoke, self._holding, journal, pace=pace, by_rq=by_rq, stops=stops)
        self._rejects = rejects
        self._redis_clock = redis_clock
        self._clock = clock
        self._next_heartbeat = 0.0
        self._next_look = 0.0
        self._suspended = False

    @property
    def dequeue_timeout(self) -> int:
        """Seconds; RQ derives the time limit of its socket from it."""
        return self._idle_seconds

    def run(self, *, burst: bool = False) -> int:
        """Work until a stop signal, or with ``burst`` until all lanes are empty; how many jobs were run."""
        self.listen_to_signals()
        try:
            self._retry(self._arrive)
            with Relief(self._flow, self._holding, log=self._events):
                while self._retry(lambda: self._step(burst=burst)):
                    pass
        finally:
            self._leave()
        return self._flow.started

    def _arrive(self) -> None:
        if self._stop_requested:
            return
        self.birth_date = now()
        self.set_state(WorkerStatus.STARTED)
        self._announce()
        self.subscribe()  # type: ignore[no-untyped-call]  # RQ's

    def _step(self, *, burst: bool) -> bool:
        """Run what can be had, or wait for some; False to end."""
        if self._stop_requested:
            return self._wind_up()
        self.keep_listening()
        self._look_around()
        if not self._supply.has_come():
            self._flow.settle()
            if not self._suspended:
                self._supply.fetch()
        if not self._holding:
            return not burst and self._idle()
        self._state = WorkerStatus.BUSY  # ``take.lua`` has written it
        if not self._suspended:
            self._supply.go_ahead()
        self._flow.run()
        return True

    def _wind_up(self) -> bool:
        """Give back what has not begun, and let the rest end."""
        self._holding.give_back()
        self._flow.settle()
        if self._holding and not self._flow.is_broken_off:
            self._flow.run()
        if self._holding and not self._flow.is_broken_off:
            return True
        with suppress(*OUTAGES):  # then the janitor sees to it
            self._holding.give_all_back()
        return False

    def _idle(self) -> bool:
        state = WorkerStatus.SUSPENDED if self._suspended else WorkerStatus.IDLE
        if self.get_state() != state:
            self.set_state(state)
        if self._lanes.is_pinned or self._suspended:
            time.sleep(OWN_IDLE)
        else:
            self._lanes.wait(self._idle_seconds)
        return True

    def _look_around(self) -> None:
        if self._clock() < self._next_look:
            return
        self._next_look = self._clock() + LOOK
        self._suspended = bool(is_suspended(self.connection))
        self._meet_lanes()
        self._redis_clock.calibrate()
        self.heartbeat()

    def _meet_lanes(self) -> None:
        if self._lanes.discover():
            self.queues = [self._queue(lane) for lane in self._lanes.names]
            self._announce()

    def _queue(self, lane: str) -> Queue:
        name = keys.queue_name(lane)
        return Queue(name, connection=self.connection, job_class=EventJob, serializer=JSONSerializer)

    def _by_rq(self, taken: Taken, call: Call | None) -> bool:
        """Let RQ end a job: every failure, and what is no plain job of ours. False when there is none."""
        job = self._retry(lambda: self._job(taken))
        if job is None:
            return False
        if call is not None:
            started = job.started_at

            def process(_text: str, job: Job) -> str:
                job.started_at = started  # the handlers have run already
                return call(job)

            job.process = process
        execution = Execution(taken.execution_id, taken.job_id, self.connection, worker_name=self.name)
        execution.created_at = job.started_at or execution.created_at
        self.perform_job(job, self._queue(taken.lane), execution)
        return True

    def _job(self, taken: Taken) -> EventJob | None:
        """The job; None, and out of the way, when there is none to be made of what was taken."""
        try:
            job = EventJob(taken.job_id, connection=self.connection, serializer=JSONSerializer)
            job.refresh()  # type: ignore[no-untyped-call]  # RQ's
        except OUTAGES:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a stranger wrote there, it must not end the worker
            reason = masking.numbers(f"the job hash cannot be read: {error!r}")
            entry = f"{taken.job_id}:{taken.execution_id}"
            self._rejects.put(taken.lane, "running", entry, reason, job_id=taken.job_id, hands=self.name)
            return None
        job.origin = keys.queue_name(taken.lane)
        job.process = self._processor.process
        job.clock = self._redis_clock.now
        return job

    def get_current_job_id(self) -> str | None:
        """The job that runs right now: what RQ's command to stop one is compared with."""
        return self._flow.current

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
            self._ahead.close()
            if not self.connection.exists(keys.hands(self.name)):  # else the janitor is to find the jobs
                self.connection.delete(keys.done(self.name))
                self.connection.hdel(keys.ENGINES, self.name)
            self.teardown()  # type: ignore[no-untyped-call]  # RQ's
        except OUTAGES as error:
            self._events.warning("redis.unavailable", error=repr(error))
