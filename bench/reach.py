"""From the callback to its handler: ingest and a worker together, at a steady rate, and beside a lane that is full."""

import asyncio
import tempfile
from pathlib import Path
from typing import Final

import redis

from ackfirst.shared.queue import keys
from bench import loading, servers
from bench.load import open_loop
from bench.processes import wait_until
from bench.progress import say
from bench.requests import LANE, signed_requests
from bench.rows import at

#: Most connections of the load generator.
_CONNECTIONS: Final = 64


def steady(rounds: int, *, rate: float, seconds: float) -> list[list[float]]:
    """Milliseconds from callback to handler, sorted, of each round."""
    found = []
    for number in range(rounds):
        found.append(_round(rate, seconds, waiting=0)[0])
        say(f"reach, round {number + 1}: p99 {at(found[-1], 0.99):.3g} ms")
    return found


def beside_a_full_lane(*, waiting: int, rate: float, seconds: float) -> tuple[list[float], int]:
    """The same for a lane beside one in which ``waiting`` events wait at first; and how many wait there at the end."""
    return _round(rate, seconds, waiting=waiting)


def _round(rate: float, seconds: float, *, waiting: int) -> tuple[list[float], int]:
    with servers.redis() as url, redis.Redis.from_url(url) as client, tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "times"
        loading.top_up(url, waiting)
        env = {"BENCH_TIMES": str(times)}
        with servers.ingest(url) as port, servers.workers(url, handlers="bench.stopwatch", env=env):
            asyncio.run(open_loop(port, signed_requests(5, application="warm"), rate=10, connections=1))
            _wait_for(times, "warm", 5)
            count, connections = int(rate * seconds), min(_CONNECTIONS, int(rate) + 1)
            requests = signed_requests(count, application="live")
            asyncio.run(open_loop(port, requests, rate=rate, connections=connections))
            left = int(client.llen(keys.queue(LANE)))
            return sorted(_wait_for(times, "live", count)), left


def _wait_for(times: Path, application: str, count: int) -> list[float]:
    """Milliseconds of ``count`` events of an application, once all have reached their handler."""
    wait_until(
        lambda: len(_read(times, application)) >= count, f"{count} events have reached their handler", pause=0.05
    )
    return _read(times, application)


def _read(times: Path, application: str) -> list[float]:
    lines = times.read_text().splitlines() if times.exists() else []
    return [1000 * float(line.split()[1]) for line in lines if line.startswith(f"{application} ")]
