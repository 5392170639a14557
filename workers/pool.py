"""Run the processes of a worker pool, engines and janitor, from the settings to their end."""

import os
import random
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from redis import Redis

from ackfirst.shared.processes.collector import tune_collector
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.generation import new_marker
from ackfirst.shared.settings import Settings
from ackfirst.workers.connection import connect
from ackfirst.workers.engine.deadline_board import DeadlineBoard
from ackfirst.workers.engine.lanes import Lanes
from ackfirst.workers.engine.loop import EngineOptions, EventWorker, WorkResult
from ackfirst.workers.engine.pace import HANDLER_CONCURRENCY
from ackfirst.workers.handlers.invoke import PlainInvoker, ThreadInvoker
from ackfirst.workers.handlers.isolation import IsolatedInvoker
from ackfirst.workers.handlers.registry import Registry
from ackfirst.workers.lease import Lease
from ackfirst.workers.periodic_task import PeriodicTask
from ackfirst.workers.recovery.generation_watch import GenerationWatch
from ackfirst.workers.recovery.heartbeat import Heartbeat, engine_name
from ackfirst.workers.recovery.held_jobs import SWEEP_SECONDS as HELD_SECONDS
from ackfirst.workers.recovery.held_jobs import HeldJobs
from ackfirst.workers.recovery.janitor import Janitor
from ackfirst.workers.recovery.redis_clock import RedisClock
from ackfirst.workers.recovery.rejects import Rejects, RejectsReporter
from ackfirst.workers.recovery.rescuer import Rescuer
from ackfirst.workers.recovery.survey import SWEEP_SECONDS, LaneSurvey, forget_dead_workers
from ackfirst.workers.runtime import build_processor, outcome_sink
from ackfirst.workers.unavailable import retry_while_unavailable

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


#: What is added to the niceness of an engine: where CPUs are short it gets about a tenth of what ingest gets.
ENGINE_NICENESS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOptions:
    """The options of an engine from the command line."""

    pinned: tuple[str, ...] = ()
    """The lanes to serve; none for all."""
    burst: bool = False
    """End when nothing waits."""
    isolate: bool = False
    """Run each attempt of a handler in a child process."""
    threads: int | None = None
    """Handlers that run at once; None for what the settings say."""
    pool: str = ""
    """The pool whose supervisor gives this engine's heartbeats; empty for an engine that does so itself."""
    board: Path | None = None
    """File in which the supervisor sees the deadlines of handlers."""


def work(settings: Settings, registry: Registry, options: WorkOptions) -> WorkResult:
    """Be an engine: run jobs until a stop signal, or until nothing waits."""
    tune_collector()  # the user's modules are loaded
    threads = options.threads or settings.threads
    with _invoker(registry, threads, options) as invoke:  # first of all: it may fork
        if options.pool:
            return _work(settings, registry, invoke, threads, options)
        with Heartbeat.from_settings(settings) as own:
            own.started(os.getpid())
            return _work(settings, registry, invoke, threads, replace(options, pool=own.pool))


def _work(
    settings: Settings, registry: Registry, invoke: PlainInvoker, threads: int, options: WorkOptions
) -> WorkResult:
    redis = connect(settings)
    log = structlog.get_logger("workers")
    retry = retry_while_unavailable(log)
    clock = RedisClock(redis)
    retry(clock.calibrate)
    if options.burst:  # there may be no janitor
        survey = _survey(settings, redis, log)
        retry(lambda: survey.walk(clock.now()))
    processor = build_processor(settings, registry, redis, retry=retry, wall=clock.now)
    engine = EngineOptions(
        threads=threads,
        concurrency=HANDLER_CONCURRENCY,
        stop_grace=settings.stop_grace,
        is_recorded=settings.is_recorded,
        has_async=any(handler.is_async for handler in registry),
    )
    # RQ's constructor asks the server for our address.
    worker = retry(
        lambda: EventWorker(
            redis,
            processor,
            invoke,
            lanes=Lanes(
                redis,
                engine=engine_name(options.pool, os.getpid()),
                seed=secrets.token_hex(12),
                pinned=options.pinned,
            ),
            rejects=Rejects(redis, keep=settings.failure_ttl),
            redis_clock=clock,
            retry=retry,
            options=engine,
        )
    )
    return worker.run(burst=options.burst)


def yield_cpu() -> None:
    """Let ingest and Redis on this machine run first: an answer to Nexmo must not wait for handlers.

    Linux may group processes by session and then compares the groups, so a session of our own gets the same niceness;
    a supervisor gives each engine one. The session of ``ackfirst worker --burst`` is a terminal's: whatever is started
    from there later would have a tenth of the CPU.
    """
    os.nice(ENGINE_NICENESS)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # another system, or grouping is off
            Path("/proc/self/autogroup").write_text(str(ENGINE_NICENESS))


@contextmanager
def _invoker(registry: Registry, threads: int, options: WorkOptions) -> Iterator[PlainInvoker]:
    if options.isolate:
        with IsolatedInvoker(registry) as isolated:
            yield isolated
    else:
        yield ThreadInvoker(threads, publish=DeadlineBoard(options.board, threads).publish)


def tidy(settings: Settings) -> None:
    """Be a janitor until a stop signal."""
    redis = connect(settings)
    log = structlog.get_logger("ackfirst.workers.recovery.janitor")
    token = f"{socket.gethostname()}:{os.getpid()}:{random.getrandbits(64):x}"
    reporter = RejectsReporter(redis, sink=outcome_sink(redis, is_recorded=settings.is_recorded), log=log)
    janitor = Janitor(
        redis,
        Lease(redis, keys.JANITOR_LEASE, token=token),
        _rescuer(settings, redis, log),
        (
            PeriodicTask(_survey(settings, redis, log).round),
            PeriodicTask(lambda _now: forget_dead_workers(redis), seconds=SWEEP_SECONDS),
            PeriodicTask(lambda _now: reporter.report()),
            PeriodicTask(HeldJobs(redis, is_recorded=settings.is_recorded, log=log).sweep, seconds=HELD_SECONDS),
        ),
        generation=GenerationWatch(redis, marker=lambda: new_marker(time.time()), log=log),
        clock=RedisClock(redis),
        retry=retry_while_unavailable(log),
    )
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: janitor.stop())
    janitor.run()


def _rescuer(settings: Settings, redis: Redis, log: "FilteringBoundLogger") -> Rescuer:
    rejects = Rejects(redis, keep=settings.failure_ttl)
    sink, is_recorded = outcome_sink(redis), settings.is_recorded
    return Rescuer(redis, rejects, keep=settings.failure_ttl, sink=sink, log=log, is_recorded=is_recorded)


def _survey(settings: Settings, redis: Redis, log: "FilteringBoundLogger") -> LaneSurvey:
    rejects = Rejects(redis, keep=settings.failure_ttl)
    return LaneSurvey(redis, _rescuer(settings, redis, log), rejects, log=log)
