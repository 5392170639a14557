"""What the processes of a worker pool do, from the settings to the end."""

import gc
import os
import random
import secrets
import signal
import socket
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ackfirst.shared.queue import keys
from ackfirst.shared.redis.client import sync_redis
from ackfirst.shared.settings import Settings
from ackfirst.workers.engine.event_worker import EventWorker
from ackfirst.workers.engine.journal import Journal, journals
from ackfirst.workers.engine.lanes import Lanes
from ackfirst.workers.engine.pace import MOST, Pace
from ackfirst.workers.handlers.invoke import Invoker
from ackfirst.workers.handlers.isolation import IsolatedInvoker
from ackfirst.workers.handlers.registry import Registry
from ackfirst.workers.processing.dispatch import Invoke
from ackfirst.workers.recovery.generation_watch import GenerationWatch
from ackfirst.workers.recovery.heartbeat import Heartbeat, engine_name
from ackfirst.workers.recovery.janitor import Janitor, Lease, PeriodicTask
from ackfirst.workers.recovery.redis_clock import RedisClock
from ackfirst.workers.recovery.rejects import Rejects, RejectsReporter
from ackfirst.workers.recovery.rescuer import Rescuer
from ackfirst.workers.recovery.survey import SWEEP_SECONDS, LaneSurvey, forget_dead_workers
from ackfirst.workers.redis_retry import retry_while_unavailable
from ackfirst.workers.runtime import build_processor, outcome_sink

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


def work(
    settings: Settings,
    registry: Registry,
    *,
    pinned: tuple[str, ...],
    burst: bool,
    pool: str = "",
    isolate: bool = False,
) -> int:
    """Be an engine: run jobs until a stop signal, or with ``burst`` until the lanes are empty; how many were run.

    ``pool`` is the one of the supervisor that sends this process's heartbeats; without one it sends them itself. With
    ``isolate`` each attempt of a handler runs in a forked child.
    """
    if not pool:
        with Heartbeat.from_settings(settings) as own:
            own.started(os.getpid())
            return _work(settings, registry, pinned=pinned, burst=burst, pool=own.pool, isolate=isolate)
    return _work(settings, registry, pinned=pinned, burst=burst, pool=pool, isolate=isolate)


def _work(
    settings: Settings, registry: Registry, *, pinned: tuple[str, ...], burst: bool, pool: str, isolate: bool
) -> int:
    redis = _connect(settings)
    log = structlog.get_logger("workers")
    retry = retry_while_unavailable(log)
    redis_clock = RedisClock(redis)
    retry(redis_clock.calibrate)
    if burst:  # there may be no janitor
        survey = _survey(settings, redis, log)
        retry(lambda: survey.walk(redis_clock.now()))
    engine = engine_name(pool, os.getpid())
    folder = journals(settings.data_dir, settings.redis_url.get_secret_value())
    with _invoker(isolate=isolate) as invoke, Journal(folder / engine, log=log) as journal:
        processor = build_processor(settings, registry, redis, invoke=invoke, retry=retry, wall=redis_clock.now)
        rejects = Rejects(redis, keep=settings.failure_ttl)
        lanes = Lanes(redis, engine=engine, seed=secrets.token_hex(12), pinned=pinned)
        pace = Pace(concurrency=settings.handler_concurrency)
        # RQ's constructor asks the server for our address.
        worker = retry(
            lambda: EventWorker(
                redis,
                processor,
                invoke,
                lanes=lanes,
                pace=pace,
                journal=journal,
                rejects=rejects,
                redis_clock=redis_clock,
                retry=retry,
                most=1 if isolate else MOST,
            )
        )
        return worker.run(burst=burst)


def _invoker(*, isolate: bool) -> AbstractContextManager[Invoke]:
    if not isolate:
        return Invoker()
    gc.freeze()  # so that a child's collector does not copy the pages of everything that is imported
    return nullcontext(IsolatedInvoker())


def tidy(settings: Settings) -> None:
    """Be a janitor until a stop signal."""
    redis = _connect(settings)
    log = structlog.get_logger("ackfirst.workers.recovery.janitor")
    token = f"{socket.gethostname()}:{os.getpid()}:{random.getrandbits(64):x}"
    reporter = RejectsReporter(redis, sink=outcome_sink(redis), log=log)
    janitor = Janitor(
        redis,
        Lease(redis, keys.JANITOR_LEASE, token=token),
        _rescuer(settings, redis, log),
        (
            PeriodicTask(_survey(settings, redis, log).round),
            PeriodicTask(lambda _now: forget_dead_workers(redis), seconds=SWEEP_SECONDS),
            PeriodicTask(lambda _now: reporter.report()),
        ),
        generation=GenerationWatch(redis, marker=lambda: secrets.token_hex(8), log=log),
        clock=RedisClock(redis),
        retry=retry_while_unavailable(log),
    )
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: janitor.stop())
    janitor.run()


def _rescuer(settings: Settings, redis: Redis, log: "FilteringBoundLogger") -> Rescuer:
    rejects = Rejects(redis, keep=settings.failure_ttl)
    return Rescuer(redis, rejects, keep=settings.failure_ttl, sink=outcome_sink(redis), log=log)


def _survey(settings: Settings, redis: Redis, log: "FilteringBoundLogger") -> LaneSurvey:
    rejects = Rejects(redis, keep=settings.failure_ttl)
    return LaneSurvey(redis, _rescuer(settings, redis, log), rejects, log=log)


def _connect(settings: Settings) -> Redis:
    # One reconnection for a connection that the server has closed; longer outages are for retry_while_unavailable.
    return sync_redis(settings.redis_url.get_secret_value(), retry=Retry(NoBackoff(), 1))
