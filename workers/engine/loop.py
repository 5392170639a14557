"""The engine: a real RQ worker that serves many lanes, survives Redis, and stops without leaving a job behind."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import worker_registration
from rq.suspension import is_suspended
from rq.utils import now
from rq.worker import WorkerStatus

from ackfirst.shared.queue import keys
from ackfirst.shared.version import installed_version
from ackfirst.workers.engine.fetch import Prefetcher
from ackfirst.workers.engine.in_flight import InFlightStore
from ackfirst.workers.engine.lanes import Lanes
from ackfirst.workers.engine.monitor import SlowHandlerMonitor
from ackfirst.workers.engine.pace import Pace
from ackfirst.workers.engine.rq_worker import RqWorker
from ackfirst.workers.engine.run import Runner
from ackfirst.workers.engine.settle import Settler
from ackfirst.workers.engine.threads import ThreadPool
from ackfirst.workers.handlers.invoke import PlainInvoker
from ackfirst.workers.processing.processor import Processor
from ackfirst.workers.recovery.redis_clock import RedisClock
from ackfirst.workers.recovery.rejects import Rejects
from ackfirst.workers.scripts import script
from ackfirst.workers.unavailable import OUTAGES, Retry

if TYPE_CHECKING:
    from ackfirst.workers.engine.handler_run import HandlerRun

#: Seconds between two heartbeats in Redis while nothing else is written.
HEARTBEAT_SECONDS: Final = 5.0
#: Seconds between two looks for new lanes, and at whether ``rq suspend`` was called.
LOOK_SECONDS: Final = 1.0
#: Seconds for which an idle worker waits for the bell; a stop is noticed no later.
IDLE_SECONDS: Final = 1
#: The same for a worker that must not take the bell from others, because it is pinned or suspended.
OWN_IDLE_SECONDS: Final = 0.1
#: Seconds after which an engine without a free thread, or with an async lane at its limit, looks again.
BUSY_SECONDS: Final = 0.002
#: Seconds of the stop's grace that are kept for giving back what still runs.
GIVE_BACK_SECONDS: Final = 2.0
#: Seconds that the settling thread has to end.
CLOSE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class WorkResult:
    """The result of an engine's run."""

    jobs: int
    """How many were run."""
    has_left_threads: bool = False
    """Whether a handler still runs: the process must end without waiting for it."""
    wedged: bool = False
    """Whether it ended because a handler did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """The options of an engine that an operator sets."""

    threads: int
    concurrency: int
    """Most async handlers of one lane that run at once."""
    stop_grace: float
    """Seconds that what runs has to end after SIGTERM."""
    idle_seconds: int = IDLE_SECONDS
    is_recorded: bool = False
    """Whether the record is on."""
    has_async: bool = True
    """Whether there are async handlers."""


class EventWorker(RqWorker):
    """An RQ worker in every respect that others can see: registration, heartbeats, states, registries, commands.

    ``run`` takes the place of ``work``: RQ's loop ends at the first error of Redis, serves several queues without the
    intermediate list that saves a job from a crash, and needs twenty round trips a job, where this one fetches and
    settles jobs in batches. RQ's maintenance is the janitor's: it would charge a retry.

    The main thread fetches; handlers run in threads and on an event loop (``run.py``); another thread settles.
    """

    def __init__(
        self,
        connection: Redis,
        processor: Processor,
        invoke: PlainInvoker,
        *,
        lanes: Lanes,
        rejects: Rejects,
        redis_clock: RedisClock,
        retry: Retry,
        options: EngineOptions,
    ) -> None:
        self._idle_seconds = options.idle_seconds  # before RQ asks for ``dequeue_timeout``
        super().__init__(
            [keys.queue_name(lane) for lane in lanes.names],
            connection,
            name=lanes.engine,
            retry=retry,
            rejects=rejects,
            process=processor.process,
            clock=redis_clock.now,
            is_recorded=options.is_recorded,
        )
        self._lanes = lanes
        self._store = store = InFlightStore(connection, engine=lanes.engine, is_recorded=options.is_recorded)
        self._redis_clock = redis_clock
        self._invoke = invoke
        self._grace = max(0.8 * options.stop_grace, options.stop_grace - GIVE_BACK_SECONDS)
        self._wake = threading.Event()
        pace = Pace(concurrency=options.concurrency)
        pool: ThreadPool[HandlerRun] = ThreadPool(options.threads, on_room=self._wake.set)
        self._processor = processor
        self._settler = Settler(
            store, processor, retry=self._retry, end_by_rq=self.end_by_rq, on_settled=self._wake.set, log=self._events
        )
        self._runner = Runner(
            processor,
            store,
            self._settler,
            pace,
            pool,
            invoke=invoke,
            stops=lambda: self._stop_requested,
        )
        self._prefetcher = Prefetcher(
            lanes, store, pace, pool, self._settler, has_async=options.has_async and not invoke.runs_async
        )
        self._monitor = SlowHandlerMonitor(self._runner, store, invoke, log=self._events)
        self._next_heartbeat = 0.0
        self._next_look = 0.0
        self._suspended = False

    @property
    def dequeue_timeout(self) -> int:
        """Seconds; RQ derives the time limit of its socket from it."""
        return self._idle_seconds

    def run(self, *, burst: bool = False) -> WorkResult:
        """Work until a stop signal, or with ``burst`` until all lanes are empty."""
        self.listen_to_signals()
        try:
            self._retry(self._arrive)
            self._settler.start()
            self._runner.pool.start(self._runner.run_plain, self._invoke.enter)
            with self._monitor.thread:
                while self._retry(lambda: self._step(burst=burst)):
                    pass
                self._wind_down()
        finally:
            has_left_threads = self._close()
            self._leave()
        return WorkResult(self._settler.ended, has_left_threads, bool(self._monitor.wedged))

    def _arrive(self) -> None:
        if self._stop_requested:
            return
        self.birth_date = now()
        self.set_state(WorkerStatus.STARTED)
        self._announce()
        self.subscribe()  # type: ignore[no-untyped-call]  # RQ's

    def _step(self, *, burst: bool) -> bool:
        """Fetch what can be had and pass it on, or wait; False to end."""
        # A fork server that is gone cannot be forked again, now that there are threads: another process must do it.
        if self._stop_requested or self._monitor.wedged or not self._invoke.is_alive:
            return False
        self._look_around()
        self._wake.clear()
        # Asked before the fetch: a job may fail during it, and wait again at once.
        was_idle = not self._store
        with self._runner.moving:
            jobs = [] if self._suspended else self._prefetcher.fetch()
            for job in jobs:
                self._runner.submit(job)
        if jobs:
            self._state = WorkerStatus.BUSY  # ``take.lua`` has written it
            return True
        if was_idle:
            return not burst and self._idle()
        is_full = self._suspended or self._lanes.is_pinned or self._prefetcher.may_wait
        if burst or is_full or not self._runner.is_running:
            self._wake.wait(BUSY_SECONDS)
        else:
            self._lanes.wait(IDLE_SECONDS)
        return True

    def _idle(self) -> bool:
        state = WorkerStatus.SUSPENDED if self._suspended else WorkerStatus.IDLE
        if self.get_state() != state:
            self.set_state(state)
        if self._lanes.is_pinned or self._suspended:
            time.sleep(OWN_IDLE_SECONDS)
        else:
            self._lanes.wait(self._idle_seconds)
        return True

    def _look_around(self) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._suspended = bool(is_suspended(self.connection))
        if self._lanes.discover():
            self.queues = [self.queue_of(lane) for lane in self._lanes.names]
            self._announce()
        self._redis_clock.calibrate()
        self.heartbeat()

    # The end
    def _wind_down(self) -> None:
        """Give back what has not begun, let the rest end, and give back what does not in time, uncharged."""
        wedged = self._monitor.wedged
        self._give_back(self._release_unbegun)
        # Bounded without a stop signal too: beside a wedged handler, another one with a long timeout kept the process,
        # which takes nothing new, from being replaced for as long.
        deadline = time.monotonic() + self._grace
        while self._store.job_ids() - set(wedged) and not self._is_overdue() and time.monotonic() < deadline:
            self._wake.clear()
            self._give_back(self._release_unbegun)
            self._wake.wait(0.05)
            if time.monotonic() >= self._next_heartbeat:
                with suppress(*OUTAGES):
                    self.heartbeat()
        begun = self._runner.under_way()
        self._give_back(lambda: self._processor.write_marks([run.work for run in begun]))
        self._give_back(lambda: self._store.release_all(but=wedged))
        if wedged:
            causes = "; ".join(f"{handler} ignored its timeout" for handler in wedged.values())
            self._give_back(lambda: self._write_cause_of_death(causes))

    def _release_unbegun(self) -> None:
        with self._runner.moving:
            self._store.release(self._runner.take_back())

    def _is_overdue(self) -> bool:
        if self.is_stop_forced:
            return True
        return self._stop_requested and time.monotonic() - self._stop_asked_at >= self._grace

    def _give_back(self, action: Callable[[], None]) -> None:
        with suppress(RedisError):  # then the janitor recovers the jobs
            action()

    def _write_cause_of_death(self, cause: str) -> None:
        script(self.connection, "mark_dead")(keys=[keys.ENGINES], args=[self.name, cause])

    def _close(self) -> bool:
        """End the threads; whether one is left."""
        if self._store:
            self._invoke.close()  # children of --isolate end with it
        self._settler.close(CLOSE_SECONDS)
        has_ended = self._runner.loop.close()
        self._runner.pool.close(0.1 if self._runner.pool.running() else CLOSE_SECONDS)
        return bool(self._runner.pool.running()) or not has_ended

    # Heartbeats
    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Prolong this worker's life in Redis; alone no more often than every ``HEARTBEAT_SECONDS``."""
        if pipeline is not None:
            super().heartbeat(timeout, pipeline)
        elif time.monotonic() >= self._next_heartbeat:
            self._announce()

    def _announce(self) -> None:
        """Write the name and place of this worker, also when Redis has forgotten it."""
        self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
        with self.connection.pipeline() as pipeline:
            super().heartbeat(None, pipeline)
            pipeline.hset(self.key, mapping={**self.serialize(), "state": self.get_state()})
            pipeline.hset(self.key, keys.WORKER_VERSION, installed_version())
            if not self._lanes.is_pinned:
                pipeline.hset(self.key, keys.SERVES_ALL, "1")
            worker_registration.register(self, pipeline)
            pipeline.hsetnx(keys.ENGINES, self.name, 0)
            pipeline.execute()

    def _leave(self) -> None:
        try:
            if not self.connection.exists(keys.in_flight(self.name)):  # else the janitor is to find the jobs
                self.connection.hdel(keys.ENGINES, self.name)
            self.teardown()  # type: ignore[no-untyped-call]  # RQ's
        except OUTAGES as error:
            self._events.warning("redis.unavailable", error=repr(error))
