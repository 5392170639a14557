"""From the callback to its handler: ingest and a worker together, at a steady rate, and beside a lane that is full."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench import servers, worker
from bench.load import open_loop
from bench.peers.install import ROOT
from bench.requests import signed_requests

#: Seconds that the last events have to reach their handler.
PATIENCE: Final = 30.0


def steady(rounds: int, *, rate: float, seconds: float) -> list[list[float]]:
    """Milliseconds from callback to handler, sorted, of each round."""
    return [_round(rate, seconds, waiting=0) for _ in range(rounds)]


def beside_a_full_lane(*, waiting: int, rate: float, seconds: float) -> list[float]:
    """The same for a lane beside one in which ``waiting`` events wait, and one that works on both."""
    return _round(rate, seconds, waiting=waiting)


def _round(rate: float, seconds: float, *, waiting: int) -> list[float]:
    with servers.redis() as url, tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "times"
        if waiting:
            asyncio.run(worker.fill(url, waiting))
        with servers.ingest(url) as port, _working(url, times):
            asyncio.run(open_loop(port, signed_requests(5, application="warm"), rate=10, connections=1))
            _wait_for(times, "warm", 5)
            count = int(rate * seconds)
            asyncio.run(
                open_loop(port, signed_requests(count, application="live"), rate=rate, connections=_connections(rate))
            )
            return _wait_for(times, "live", count)


def _connections(rate: float) -> int:
    """So few that each is used every few seconds: ingest closes one that says nothing for ten."""
    return min(64, max(2, int(rate)))


@contextmanager
def _working(url: str, times: Path) -> Iterator[None]:
    env = {**os.environ, "ACKFIRST_REDIS_URL": url, "ACKFIRST_HANDLERS": "bench.stopwatch", "BENCH_TIMES": str(times)}
    env |= {"ACKFIRST_LOG_LEVEL": "warning", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "ops.cli", "worker"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _wait_for(times: Path, application: str, count: int) -> list[float]:
    deadline = time.monotonic() + PATIENCE
    while True:
        lines = times.read_text().splitlines() if times.exists() else []
        found = [1000 * float(line.split()[1]) for line in lines if line.startswith(f"{application} ")]
        if len(found) >= count:
            return sorted(found)
        if time.monotonic() > deadline:
            raise SystemExit(f"only {len(found)} of {count} events have reached their handler")
        time.sleep(0.05)
