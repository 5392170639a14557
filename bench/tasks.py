"""One command to Redis in each task: our worker, plain and async, against other task queues, in turns."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import redis

from bench import servers, worker
from bench.peers.install import ROOT, Peers
from bench.progress import say
from bench.requests import LANE, callback_bodies

#: Seconds after which a measurement that does not move is given up.
PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Contender:
    """A task queue: how its tasks are queued (bodies come on stdin; None: as ingest does) and run."""

    name: str
    fill: tuple[str, ...] | None
    work: tuple[str, ...]
    folder: str = str(ROOT)
    env: dict[str, str] = field(default_factory=dict)
    is_slow: bool = False
    """Whether it gets a quarter of the tasks, so that a run does not wait for it most of the time."""


def contenders(peers: Peers) -> list[Contender]:
    """All that can be measured here; ours first."""
    ours = (sys.executable, "-m", "ackfirst", "worker", "--burst", "--lane", LANE)
    python = peers.python

    def app(name: str, *work: str) -> Contender:
        module = f"bench.peers.{name}_app"
        return Contender(name, (python, "-m", module), (python, "-m", *work, module))

    found = [
        Contender("ackfirst, plain handler", None, ours, env={"ACKFIRST_HANDLERS": "bench.counting_plain"}),
        Contender("ackfirst, async handler", None, ours, env={"ACKFIRST_HANDLERS": "bench.counting_async"}),
        app("dramatiq", "dramatiq", "--processes", "1"),
        Contender(
            "arq",
            (peers.arq, "-m", "bench.peers.arq_app"),
            (peers.arq, "-m", "arq", "bench.peers.arq_app.WorkerSettings"),
        ),
        Contender("SAQ", (python, "-m", "bench.peers.saq_app"), (python, "-m", "saq", "bench.peers.saq_app.settings")),
        Contender(
            "Celery",
            (python, "-m", "bench.peers.celery_app"),
            (python, "-m", "celery", "-A", "bench.peers.celery_app", "worker", "--pool", "solo", "-l", "error"),
            is_slow=True,
        ),
    ]
    if peers.node:
        found.append(
            Contender("BullMQ", ("node", "bullmq.mjs", "fill"), ("node", "bullmq.mjs", "work"), folder=peers.node)
        )
    return found


def rates(rivals: Sequence[Contender], rounds: int, *, count: int) -> dict[str, list[float]]:
    """Tasks a second, ``rounds`` times in turn."""
    measured: dict[str, list[float]] = {one.name: [] for one in rivals}
    for number in range(rounds):
        for one in rivals:
            measured[one.name].append(_rate(one, count // 4 if one.is_slow else count))
            say(f"tasks, round {number + 1}: {one.name}, {measured[one.name][-1]:,.0f}/s")
    return measured


def _rate(one: Contender, count: int) -> float:
    with servers.redis() as url, redis.Redis.from_url(url) as client, tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, **one.env, "BENCH_REDIS_URL": url, "ACKFIRST_REDIS_URL": url}
        env |= {"ACKFIRST_DATA_DIR": folder, "ACKFIRST_LOG_LEVEL": "warning", "PYTHONPATH": str(ROOT)}
        _fill(one, url, env, count)
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(one.work, env=env, cwd=one.folder, stdout=quiet, stderr=quiet)
        try:
            return _watch(one.name, client, count)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()


def _fill(one: Contender, url: str, env: dict[str, str], count: int) -> None:
    if one.fill is None:
        asyncio.run(worker.fill(url, count))
        return
    bodies = b"\n".join(callback_bodies(count))
    subprocess.run(one.fill, env=env, cwd=one.folder, input=bodies, check=True, stdout=subprocess.DEVNULL)


def _watch(name: str, client: redis.Redis, count: int) -> float:
    """Tasks a second between the first tenth, when everything is warm, and the last one."""
    warm, done, began = count // 10, 0, 0.0
    deadline = time.monotonic() + PATIENCE
    first = 0
    while done < count:
        done = int(client.get("bench:done") or 0)
        if not began and done >= warm:
            began, first = time.perf_counter(), done
        if time.monotonic() > deadline:
            raise SystemExit(f"{name} has done {done} of {count} tasks in {PATIENCE:g} s")
        time.sleep(0.005)
    return (done - first) / (time.perf_counter() - began)
