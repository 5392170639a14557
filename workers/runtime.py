"""Build what runs handlers from the settings."""

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
from redis import Redis

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.log import wide_lines
from ackfirst.shared.settings import Settings
from ackfirst.workers.handlers.invoke import Invoker
from ackfirst.workers.handlers.loader import load
from ackfirst.workers.handlers.registry import Registry
from ackfirst.workers.processing.dispatch import Clock, Dispatcher
from ackfirst.workers.processing.outcome import OutcomeCounters, OutcomeLog, OutcomeSink, OutcomeSinks
from ackfirst.workers.processing.outcome_record import OutcomeRecord
from ackfirst.workers.processing.processor import Processor
from ackfirst.workers.processing.retry import Schedule
from ackfirst.workers.replay.outcomes import ReplayOutcomes
from ackfirst.workers.unavailable import Retry


def outcome_sink(redis: Redis, *, is_recorded: bool = False) -> OutcomeSink:
    """Build the sink of this process: counters in Redis, those of replays, the log, and the record.

    ``is_recorded`` is for ends that are written elsewhere: scripts and transactions of ours record what they end.
    """
    sinks: list[OutcomeSink] = [OutcomeCounters(redis), ReplayOutcomes(redis), OutcomeLog(wide_lines())]
    return OutcomeSinks([OutcomeRecord(redis), *sinks] if is_recorded else sinks)


def load_handlers(settings: Settings, *, record_only: bool = False) -> Registry:
    """Load the handlers of ``ACKFIRST_HANDLERS``; with ``record_only`` there may be none.

    Raises:
        ConfigurationError: There is no handler, a module cannot be imported, or a handler in it cannot work.
    """
    registry = load(
        settings.handlers,
        timeout=settings.handler_timeout,
        job_timeout=settings.job_timeout,
        retries=len(settings.retry_schedule),
        folder=Path.cwd(),
    )
    if not registry and not record_only:
        modules = ", ".join(settings.handlers)
        advice = f"decorate functions in {modules} with @on()" if modules else "set ACKFIRST_HANDLERS to your modules"
        raise ConfigurationError(
            f"there are no handlers, so every event would end without effect: {advice}; if that is meant, "
            "start the worker with --record-only"
        )
    return registry


def build_processor(
    settings: Settings,
    registry: Registry,
    redis: Redis,
    *,
    retry: Retry,
    sink: OutcomeSink | None = None,
    wall: Callable[[], float] = time.time,
) -> Processor:
    """Build the processor of ``registry``; an engine makes the attempts itself, in threads.

    ``sink`` is None for that of an engine, whose settling records what ends. ``wall`` gives the Unix seconds by which
    retries are scheduled.
    """
    clock = Clock(wall=wall, steady=time.monotonic)
    schedule = Schedule(settings.retry_schedule, random=random.random)
    return Processor(
        registry=registry,
        dispatcher=Dispatcher(
            Invoker(), schedule, clock=clock, log=partial(structlog.get_logger, "ackfirst.workers.handlers.handler")
        ),
        redis=redis,
        keep=settings.failure_ttl,
        job_timeout=settings.job_timeout,
        clock=clock,
        retry=retry,
        sink=sink or outcome_sink(redis),
    )
