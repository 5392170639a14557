"""Measure the record: what it costs ingest and engine, and how fast the recorder writes."""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import redis

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.record import RECORDED
from bench import servers
from bench.engine import burst_rate
from bench.filling import fill
from bench.ingest import measure
from bench.load import LANE
from bench.plan import Plan, say
from bench.rows import Row, ratio, row
from bench.servers import thread_options, wait_until
from tests.support.postgresql import PostgresProcess, find_programs

_NOTHING: Final = "bench.handlers.nothing"
_OFF: Final = {"ACKFIRST_STORE_URL": "off"}
#: Time that recording may take.
_TIMEOUT_SECONDS: Final = 180.0


def recording(plan: Plan) -> list[Row]:
    """Compare ingest and engine with the record on and off, in turns, and measure the recorder alone."""
    found: dict[str, list[float]] = {}
    for number in range(plan.rounds):
        for name, env in (("off", _OFF), ("on", {})):
            with servers.redis() as url:
                found.setdefault(f"ingest {name}", []).append(
                    measure(partial(servers.ingest, url, settings=env), plan.count).rate
                )
            found.setdefault(f"engine {name}", []).append(burst_rate(partial(_engine, env), plan.count))
        for name, rate in _recorders(plan.count):
            found.setdefault(name, []).append(rate)
        say(f"record, round {number + 1}: " + ", ".join(f"{name} {runs[-1]:,.0f}/s" for name, runs in found.items()))
    rows = [row(f"{name}, events/s", runs) for name, runs in found.items() if not name.startswith("recorder")]
    rows.append(ratio("ingest with the record / without", found["ingest on"], found["ingest off"], at_least=0.95))
    rows.append(ratio("engine with the record / without", found["engine on"], found["engine off"], at_least=0.75))
    rows.append(row("recorder into SQLite, events/s", found["recorder SQLite"], at_least=4_000))
    if "recorder PostgreSQL" in found:
        rows.append(row("recorder into PostgreSQL, events/s", found["recorder PostgreSQL"], at_least=3_000))
    return rows


def _engine(env: Mapping[str, str], url: str) -> AbstractContextManager[Any]:
    return servers.workers(url, "--burst", "--lane", LANE, *thread_options(), handlers=_NOTHING, env=env)


def _recorders(count: int) -> Iterator[tuple[str, float]]:
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder:
        yield "recorder SQLite", _recorder_rate(f"sqlite:///{folder}/record.db", count)
    if find_programs() is not None:
        with _postgresql() as url:
            yield "recorder PostgreSQL", _recorder_rate(url, count)


@contextmanager
def _postgresql() -> Iterator[str]:
    """Run a server that syncs each commit; yields its URL."""
    with tempfile.TemporaryDirectory(prefix="af-bench-", ignore_cleanup_errors=True) as folder:
        server = PostgresProcess(Path(folder), fsync="on").start()
        try:
            yield server.url()
        finally:
            server.stop()


def _recorder_rate(store_url: str, count: int) -> float:
    """Return events per second that the recorder writes, each with its arrival, attempt and end, alone on its core."""
    with servers.redis() as url, redis.Redis.from_url(url) as client:
        asyncio.run(fill(url, count))
        with servers.workers(url, "--burst", *thread_options(), handlers=_NOTHING) as engine:
            engine.wait(_TIMEOUT_SECONDS)

        def recorded() -> int:
            return int(client.hget(keys.RECORDER, RECORDED) or 0)

        env = {"ACKFIRST_STORE_URL": store_url}
        with servers.workers(url, "--role", "recorder", handlers=_NOTHING, env=env):
            wait_until(lambda: recorded() > 0, "an event is recorded", pause=0.001)
            first, started = recorded(), time.perf_counter()
            wait_until(lambda: not client.xlen(keys.RECORD), "all is recorded", timeout=_TIMEOUT_SECONDS, pause=0.002)
            # Arrivals come first, so the outcomes of the first batch are still to be written: all of them count.
            return (count - first / 2) / (time.perf_counter() - started)
