"""Measure the worker's engine: against RQ's own worker, over many lanes, and from a callback to its handler."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import redis

from ackfirst.shared.queue import keys
from bench import servers
from bench.filling import fill, top_up
from bench.load import LANE, callbacks, open_loop
from bench.peers.install import ROOT
from bench.plan import Plan, say
from bench.rows import Row, at, ratio, row
from bench.servers import POLITELY, THREADS, running, thread_options, wait_until

_NOTHING: Final = "bench.handlers.nothing"
_STOPWATCH: Final = "bench.handlers.stopwatch"

#: Lanes that are compared with one lane.
LANES: Final = 10_000
#: Time after which the events that are done count, so that a slow engine does not hold up the run.
_LANES_TIMEOUT_SECONDS: Final = 60.0

#: Most connections of the load generator.
_CONNECTIONS: Final = 64


def rates(plan: Plan) -> list[Row]:
    """Compare events per second with RQ's ``SimpleWorker`` on the same jobs, with a handler that does nothing."""
    ours, stock = [], []
    for number in range(plan.rounds):
        ours.append(burst_rate(_our_worker, plan.count))
        stock.append(burst_rate(_stock_worker, max(500, plan.count // 10)))
        say(f"worker, round {number + 1}: {ours[-1]:,.0f}/s, stock {stock[-1]:,.0f}/s")
    return [
        row("ackfirst, jobs/s", ours),
        row("stock SimpleWorker, jobs/s", stock),
        ratio("ackfirst / stock SimpleWorker", ours, stock, at_least=25),
    ]


def _our_worker(url: str) -> AbstractContextManager[Any]:
    return servers.workers(url, "--burst", "--lane", LANE, *thread_options(), handlers=_NOTHING)


def _stock_worker(url: str) -> AbstractContextManager[Any]:
    nice, *options = POLITELY
    command = [*options, sys.executable, "-m", "rq.cli", "worker", "--burst", "--quiet", "--serializer", "json"]
    command += ["--worker-class", "rq.worker.SimpleWorker", keys.queue_name(LANE)]
    env = {"ACKFIRST_REDIS_URL": url, "RQ_REDIS_URL": url, "ACKFIRST_HANDLERS": _NOTHING, "PYTHONPATH": str(ROOT)}
    return running(*command, env={**env, "ACKFIRST_LOG_LEVEL": "warning"}, program=nice)


def burst_rate(worker: Callable[[str], AbstractContextManager[Any]], count: int) -> float:
    """Return jobs per second between the first and the last finished one: the start does not count."""
    with servers.redis() as url, redis.Redis.from_url(url) as client:
        asyncio.run(fill(url, count))
        with worker(url):

            def finished() -> int:
                return int(client.zcard(keys.finished(LANE)))

            wait_until(lambda: finished() > 0, "a job is done", pause=0.001)
            first, started = finished(), time.perf_counter()
            wait_until(lambda: finished() >= count, f"{count} jobs are done", timeout=180)
            return (count - first) / (time.perf_counter() - started)


def lanes(plan: Plan) -> list[Row]:
    """Compare 10,000 lanes with one event each to one lane with 10,000 events."""
    many, one, scripts = [], [], []
    for number in range(plan.rounds):
        rate, script = _lane_rate(LANES)
        many.append(rate)
        scripts.append(script)
        one.append(_lane_rate(1)[0])
        say(f"lanes, round {number + 1}: {many[-1]:,.0f}/s in {LANES:,} lanes, {one[-1]:,.0f}/s in one")
    return [
        row(f"{LANES:,} lanes with one event each, events/s", many),
        row(f"one lane with {LANES:,} events, events/s", one),
        ratio(f"{LANES:,} lanes / one lane", many, one, at_least=0.7),
        row(f"a script holds Redis, {LANES:,} lanes, p99 ms", scripts, at_most=2),
    ]


def _lane_rate(lanes: int) -> tuple[float, float]:
    """Return events per second, and the 99th percentile of a script's milliseconds in Redis."""
    with servers.redis() as url, redis.Redis.from_url(url) as client:
        asyncio.run(fill(url, LANES, lanes=lanes))
        client.config_resetstat()
        with servers.workers(url, *thread_options(), handlers=_NOTHING):
            wait_until(lambda: processed(client) > 0, "an event is done", pause=0.001)
            first, started = processed(client), time.perf_counter()
            while processed(client) < LANES and time.perf_counter() - started < _LANES_TIMEOUT_SECONDS:
                time.sleep(0.01)
            rate = (processed(client) - first) / (time.perf_counter() - started)
            percentiles: Any = client.info("latencystats")
        return rate, percentiles["latency_percentiles_usec_evalsha"]["p99"] / 1000


def processed(client: redis.Redis) -> int:
    """Return how many events have been processed."""
    return int(client.hget(keys.OUTCOMES, "processed") or 0)


def reach(plan: Plan) -> list[Row]:
    """Measure the time from a callback to the first line of its handler: alone, and beside two kinds of busy lanes."""
    steady, beside = [], []
    for number in range(plan.rounds):
        steady.append(_reach(rate=300, seconds=10)[0])
        say(f"reach, round {number + 1}: p99 {at(steady[-1], 0.99):.3g} ms")
        if thread_options():  # a worker with one thread would sleep
            beside.append(_reach(rate=300, seconds=10, sleeping=THREADS - 1)[0])
            say(f"reach, round {number + 1}: beside sleeping threads, p99 {at(beside[-1], 0.99):.3g} ms")
    rows = [
        row("300/s, p50 ms", [at(run, 0.50) for run in steady], at_most=5),
        row("300/s, p99 ms", [at(run, 0.99) for run in steady], at_most=25),
    ]
    if beside:
        name = "300/s while every thread but one sleeps in another lane"
        rows.append(row(f"{name}, p99 ms", [at(run, 0.99) for run in beside], at_most=50))
    full, left = _reach(rate=1, seconds=30, waiting=300_000)
    return [
        *rows,
        row("1/s beside a lane with 100,000 waiting, p50 ms", [at(full, 0.50)]),
        row("the same, p99 ms", [at(full, 0.99)]),
        row("waiting in that lane at the end", [left], at_least=100_000),
    ]


def _reach(*, rate: float, seconds: float, waiting: int = 0, sleeping: int = 0) -> tuple[list[float], int]:
    """Return sorted milliseconds from callback to handler, and how many events wait in the lane ``LANE`` at the end.

    ``waiting`` events are in that lane before; ``sleeping`` threads run handlers of another lane meanwhile.
    """
    with servers.redis() as url, redis.Redis.from_url(url) as client, tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "times"
        top_up(url, waiting)
        worker = servers.workers(url, *thread_options(), handlers=_STOPWATCH, env={"BENCH_TIMES": str(times)})
        with servers.ingest(url) as port, worker:
            asyncio.run(open_loop(port, callbacks(5, application="warm"), rate=10, connections=1))
            _times(times, "warm", 5)
            if sleeping:
                busy = callbacks(sleeping, application="sleeping")
                asyncio.run(open_loop(port, busy, rate=100, connections=sleeping))
                _times(times, "sleeping", sleeping)
            count, connections = int(rate * seconds), min(_CONNECTIONS, int(rate) + 1)
            traffic = callbacks(count, application="live")
            asyncio.run(open_loop(port, traffic, rate=rate, connections=connections))
            left = int(client.llen(keys.queue(LANE)))
            return sorted(_times(times, "live", count)), left


def _times(file: Path, application: str, count: int) -> list[float]:
    """Wait until ``count`` events of the application have reached their handler; return their milliseconds."""

    def read() -> list[float]:
        lines = file.read_text().splitlines() if file.exists() else []
        return [1000 * float(line.split()[1]) for line in lines if line.startswith(f"{application} ")]

    wait_until(lambda: len(read()) >= count, f"{count} events have reached their handler", pause=0.05)
    return read()
