"""What the processes of a worker pool do, from the settings to the end."""

import gc
import os
import random
import secrets
import signal
import socket
import time
from contextlib import AbstractContextManager, nullcontext

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
from ackfirst.workers.engine.pace import HANDLER_CONCURRENCY, MOST, Pace
from ackfirst.workers.handlers.invoke import Invoker
from ackfirst.workers.handlers.isolation import IsolatedInvoker
from ackfirst.workers.handlers.registry import Registry
from ackfirst.workers.patience import Patience
from ackfirst.workers.processing.dispatch import Invoke
from ackfirst.workers.recovery.generation_watch import GenerationWatch
from ackfirst.workers.recovery.heartbeat import engine_name, vigil
from ackfirst.workers.recovery.janitor import LEASE, Janitor
from ackfirst.workers.recovery.lease import Lease
from ackfirst.workers.recovery.orphans import Orphans
from ackfirst.workers.recovery.promoter import Promoter
from ackfirst.workers.recovery.redis_clock import Corrector, Reference
from ackfirst.workers.recovery.rejects import Rejects, RejectsAlarm
from ackfirst.workers.recovery.rescuer import Rescuer
from ackfirst.workers.recovery.sweeper import Sweeper
from ackfirst.workers.runtime import build_processor


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

    ``pool`` is the supervisor's that beats for this process; an engine without one beats for itself. With ``isolate``
    each attempt of a handler runs in a forked child.
    """
    if not pool:
        with vigil(settings) as own:
            own.started(os.getpid())
            return _work(settings, registry, pinned=pinned, burst=burst, pool=own.pool, isolate=isolate)
    return _work(settings, registry, pinned=pinned, burst=burst, pool=pool, isolate=isolate)


def _work(
    settings: Settings, registry: Registry, *, pinned: tuple[str, ...], burst: bool, pool: str, isolate: bool
) -> int:
    redis = _connect(settings)
    log = structlog.get_logger("workers")
    patience = Patience(log=log)
    reference = Reference(redis)
    patience(reference.calibrate)
    if burst:
        patience(lambda: Promoter(redis).promote(reference.now()))
    engine = engine_name(pool, os.getpid())
    folder = journals(settings.data_dir, settings.redis_url.get_secret_value())
    with _invoker(isolate=isolate) as invoke, Journal(folder / engine, log=log) as journal:
        processor = build_processor(settings, registry, redis, invoke=invoke, steadily=patience, wall=reference.now)
        rejects = Rejects(redis, keep=settings.failure_ttl)
        lanes = Lanes(redis, engine=engine, seed=secrets.token_hex(12), pinned=pinned)
        pace = Pace(concurrency=HANDLER_CONCURRENCY)
        # RQ's constructor asks the server for our address.
        worker = patience(
            lambda: EventWorker(
                redis,
                processor,
                invoke,
                lanes=lanes,
                pace=pace,
                journal=journal,
                rejects=rejects,
                reference=reference,
                patience=patience,
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
    rejects = Rejects(redis, keep=settings.failure_ttl)
    rescuer = Rescuer(redis, rejects, keep=settings.failure_ttl, log=log)
    news = RejectsAlarm(redis, log=log)
    promoter = Promoter(redis)
    reference = Reference(redis)
    janitor = Janitor(
        redis,
        Lease(redis, keys.JANITOR_LEASE, token=token, seconds=LEASE),
        rescuer,
        (
            lambda _now: promoter.promote(reference.now()),
            Sweeper(redis, rescuer, rejects).sweep,
            Orphans(redis, log=log).look,
            lambda _now: news.tell(),
        ),
        generation=GenerationWatch(redis, marker=lambda: secrets.token_hex(8), log=log),
        corrector=Corrector(redis, log=log),
        reference=reference,
        patience=Patience(log=log),
        wall=time.time,
    )
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: janitor.stop())
    janitor.run()


def _connect(settings: Settings) -> Redis:
    # One reconnection for a connection that the server has closed; all else is Patience's.
    return sync_redis(settings.redis_url.get_secret_value(), retry=Retry(NoBackoff(), 1))
