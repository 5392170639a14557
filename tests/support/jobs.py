"""Jobs in a real Redis, and engines that run them in the test's own process."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
import redis.asyncio
import structlog
from structlog.testing import capture_logs

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.dedupe import DEDUPE_SECONDS
from ackfirst.shared.queue.enqueue import Enqueuer, Written
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.job import JobOptions
from ackfirst.shared.queue.rejects import Reject
from ackfirst.shared.settings import Settings, load_settings
from ackfirst.workers.handlers.handler import handler_of
from ackfirst.workers.handlers.registry import Registry
from ackfirst.workers.pool import WorkOptions, work
from ackfirst.workers.recovery.liveness import Death
from ackfirst.workers.recovery.rejects import Rejects
from ackfirst.workers.recovery.rescuer import Rescuer
from ackfirst.workers.recovery.survey import LaneSurvey
from ackfirst.workers.runtime import outcome_sink

OPTIONS = JobOptions(timeout=60, result_ttl=300, failure_ttl=3600, retry_intervals=(1, 1))


def enqueue(client: redis.Redis, *envelopes: Envelope, options: JobOptions = OPTIONS) -> None:
    """Put envelopes into their lanes, as ingest does."""
    place = client.connection_pool.connection_kwargs

    async def write() -> list[Written]:
        async with redis.asyncio.Redis(unix_socket_path=place["path"], db=place.get("db", 0)) as connection:
            enqueuer = Enqueuer(connection, options, dedupe_seconds=DEDUPE_SECONDS)
            return await enqueuer.enqueue(envelopes, now=time.time())

    with ThreadPoolExecutor(1) as pool:  # a test may have an event loop of its own
        results = pool.submit(asyncio.run, write()).result()
    assert results == [True] * len(envelopes)


def status(client: redis.Redis, job_id: str) -> str | None:
    """RQ's status of a job; None when its hash is gone."""
    found = client.hget(keys.job(job_id), "status")
    return found.decode() if found else None


def statuses(client: redis.Redis, envelopes: list[Envelope]) -> set[str | None]:
    return {status(client, envelope.id) for envelope in envelopes}


def set_aside(client: redis.Redis) -> list[Reject]:
    """What was set aside, oldest first."""
    return [Reject.decode(*row) for row in client.xrange(keys.REJECTS)]


def lane_is_empty(client: redis.Redis, lane: str) -> bool:
    """Nothing waits in the lane, nothing is taken but not started, nothing is running."""
    waiting = client.llen(keys.queue(lane)) + client.llen(keys.intermediate(lane))
    return not waiting and not client.zcard(f"rq:wip:{keys.queue_name(lane)}")


def all_lanes_are_empty(client: redis.Redis) -> bool:
    """Every job is settled, which it is a moment after its handler."""
    return all(lane_is_empty(client, lane.decode()) for lane in client.smembers(keys.LANES))


def rescuer_for(client: redis.Redis) -> Rescuer:
    """What recovers jobs, with the sink of production."""
    return Rescuer(client, Rejects(client, keep=60), keep=60, sink=outcome_sink(client), log=structlog.get_logger())


def survey_for(client: redis.Redis, *, clock: Callable[[], float] = time.monotonic) -> LaneSurvey:
    """The janitor's walk over the lanes."""
    return LaneSurvey(client, rescuer_for(client), Rejects(client, keep=60), log=structlog.get_logger(), clock=clock)


def rescue_all(client: redis.Redis) -> None:
    """Recover the jobs of all engines, as if they had been found dead."""
    rescuer = rescuer_for(client)
    for engine, entry in client.hgetall(keys.ENGINES).items():
        rescuer.recover(Death(engine.decode(), entry.decode(), "signal SIGKILL"), time.time())


def settings_for(url: str, **overrides: str) -> Settings:
    """Settings whose retries come at once unless ``retry_schedule`` says otherwise."""
    folder = str(Path(unquote(urlsplit(url).path)).parent / "data")  # beside the socket: it goes with the server
    given = {"redis_url": url, "data_dir": folder, "retry_schedule": "0s,0s", **overrides}
    return load_settings({f"ACKFIRST_{name.upper()}": value for name, value in given.items()})


def registry_of(settings: Settings, *functions: Callable[..., Any]) -> Registry:
    waits = len(settings.retry_schedule)
    return Registry(handler_of(one, timeout=settings.handler_timeout, retries=waits) for one in functions)


def burst(
    url: str,
    *functions: Callable[..., Any],
    lanes: tuple[str, ...] = (),
    logged: list[Any] | None = None,
    **overrides: str,
) -> int:
    """Run decorated functions on everything that waits; how many jobs were run. ``logged`` receives the log's lines."""
    settings = settings_for(url, **overrides)
    with signal_handlers_put_back(), capture_logs() as lines:
        done = work(settings, registry_of(settings, *functions), WorkOptions(pinned=lanes, burst=True))
    if logged is not None:
        logged.extend(lines)
    return done.jobs


@contextmanager
def signal_handlers_put_back() -> Iterator[None]:
    """An engine takes over the signals of its process; a test gives them back."""
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    former = [signal.getsignal(one) for one in signals]
    try:
        yield
    finally:
        for one, handler in zip(signals, former, strict=True):
            signal.signal(one, handler)
