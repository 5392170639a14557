"""Compare the worker with other task queues: one Redis command in each task, and tasks that sleep, in turns."""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import redis

from bench import servers
from bench.filling import fill
from bench.load import LANE, callback_bodies
from bench.peers.install import ROOT, Peers
from bench.plan import Plan, say
from bench.rows import Row, ratio, row
from bench.servers import POLITELY, THREADS, thread_options

_TIMEOUT_SECONDS: Final = 60.0
_CONCURRENCY: Final = 100

#: Time that a sleeping task takes, and how many of them each thread gets.
_SLEEP_SECONDS: Final = 0.05
_SLEEPS_PER_THREAD: Final = 150


@dataclass(frozen=True, slots=True)
class Contender:
    """A task queue: how its tasks are queued and run."""

    name: str
    fill: tuple[str, ...] | None
    """Program that queues the bodies on its stdin; None: queued as ingest does; empty: no queue."""
    work: tuple[str, ...]
    folder: str = str(ROOT)
    env: dict[str, str] = field(default_factory=dict)
    share: float = 1.0
    """Share of the tasks that it gets: slow ones must not take most of the run."""


def commands(plan: Plan) -> list[Row]:
    """Compare tasks of one Redis command; no rows without the peers."""
    if plan.peers is None:
        return []
    count = max(1000, plan.count // 3)
    found = _rates(_contenders(plan.peers, count), plan.rounds, count)
    rows = [row(f"{name}, tasks/s", each) for name, each in found.items()]
    plain, coroutine = found["ackfirst, plain handler"], found["ackfirst, async handler"]
    threads = "8 threads" if thread_options() else "one thread"
    rows.append(ratio(f"plain handler, {threads} / dramatiq, 8 threads", plain, found["dramatiq"], at_least=1.5))
    rows.append(ratio("plain handler / bare pool of 8 threads", plain, found["bare pool of 8 threads"]))
    fastest = max(("arq", "SAQ", "Celery"), key=lambda name: statistics.median(found[name]))
    label = f"async handler / {fastest}, the fastest of arq, SAQ and Celery"
    rows.append(ratio(label, coroutine, found[fastest], at_least=2))
    rows.append(ratio("async handler / bare event loop", coroutine, found["bare event loop"], at_least=0.6))
    if "BullMQ" in found:
        rows.append(ratio("async handler / BullMQ", coroutine, found["BullMQ"]))
    return rows


def sleeps(plan: Plan) -> list[Row]:
    """Compare tasks that sleep for 50 ms with the most that eight threads can do; no rows without the peers."""
    if plan.peers is None:
        return []
    most = THREADS / _SLEEP_SECONDS
    env = {"BENCH_SLEEP": str(_SLEEP_SECONDS)}
    ours = Contender(
        "ackfirst",
        None,
        _our_worker(),
        env={**env, "ACKFIRST_HANDLERS": "bench.handlers.sleeping"},
        share=1.0 if thread_options() else 1 / THREADS,
    )
    found = _rates([ours, _dramatiq(plan.peers, env)], plan.rounds, THREADS * _SLEEPS_PER_THREAD)
    rows = [row(f"{name}, tasks/s", each) for name, each in found.items()]
    for name, limit in (("ackfirst", 0.95), ("dramatiq", None)):
        shares = [rate / most for rate in found[name]]
        rows.append(row(f"{name} / {most:g}, which 8 threads can do", shares, at_least=limit))
    return rows


def _our_worker() -> tuple[str, ...]:
    return (sys.executable, "-m", "ackfirst", "worker", "--burst", "--lane", LANE, *thread_options())


def _dramatiq(peers: Peers, env: dict[str, str]) -> Contender:
    module = "bench.peers.dramatiq_app"
    work = (peers.python, "-m", "dramatiq", "--processes", "1", "--threads", str(THREADS), module)
    return Contender("dramatiq", (peers.python, "-m", module), work, env=env)


def _contenders(peers: Peers, count: int) -> list[Contender]:
    python, apps, handlers = peers.python, "bench.peers", "bench.handlers"
    found = [
        Contender("ackfirst, plain handler", None, _our_worker(), env=_handlers("counting_plain")),
        Contender("ackfirst, async handler", None, _our_worker(), env=_handlers("counting_async")),
        _dramatiq(peers, {}),
        Contender(
            "arq", (peers.arq, "-m", f"{apps}.arq_app"), (peers.arq, "-m", "arq", f"{apps}.arq_app.WorkerSettings")
        ),
        Contender("SAQ", (python, "-m", f"{apps}.saq_app"), (python, "-m", "saq", f"{apps}.saq_app.settings")),
        Contender(
            "Celery",
            (python, "-m", f"{apps}.celery_app"),
            (python, "-m", "celery", "-A", f"{apps}.celery_app", "worker", "--pool", "solo", "-l", "error"),
            share=0.25,
        ),
    ]
    if peers.node:
        found.append(
            Contender("BullMQ", ("node", "bullmq.mjs", "fill"), ("node", "bullmq.mjs", "work"), folder=peers.node)
        )
    for name, module, concurrency in (
        ("bare pool of 8 threads", "counting_plain", THREADS),
        ("bare event loop", "counting_async", _CONCURRENCY),
    ):
        work = (sys.executable, "-m", f"{handlers}.{module}", str(count), str(concurrency))
        found.append(Contender(name, (), work))
    return found


def _handlers(module: str) -> dict[str, str]:
    return {"ACKFIRST_HANDLERS": f"bench.handlers.{module}"}


def _rates(contenders: Sequence[Contender], rounds: int, count: int) -> dict[str, list[float]]:
    """Return tasks per second of each, ``rounds`` times in turn."""
    measured: dict[str, list[float]] = {one.name: [] for one in contenders}
    for number in range(rounds):
        for one in contenders:
            measured[one.name].append(_rate(one, int(one.share * count)))
            say(f"tasks, round {number + 1}: {one.name}, {measured[one.name][-1]:,.0f}/s")
    return measured


def _rate(one: Contender, count: int) -> float:
    with servers.redis() as url, redis.Redis.from_url(url) as client, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "done"
        env = {**os.environ, **one.env, "BENCH_REDIS_URL": url, "ACKFIRST_REDIS_URL": url, "BENCH_DONE": str(file)}
        env |= {"ACKFIRST_DATA_DIR": folder, "ACKFIRST_LOG_LEVEL": "warning", "PYTHONPATH": str(ROOT)}
        if one.fill is None:
            asyncio.run(fill(url, count))
        elif one.fill:
            bodies = b"\n".join(callback_bodies(count))
            subprocess.run(one.fill, env=env, cwd=one.folder, input=bodies, check=True, stdout=subprocess.DEVNULL)
        quiet = subprocess.DEVNULL
        work = one.work if one.fill is None else (*POLITELY, *one.work)
        process = subprocess.Popen(work, env=env, cwd=one.folder, stdout=quiet, stderr=quiet)

        def done() -> int:
            if "BENCH_SLEEP" in one.env:
                return file.stat().st_size if file.exists() else 0
            return int(client.get("bench:done") or 0)

        try:
            return _watch(one.name, done, count)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()


def _watch(name: str, done: Callable[[], int], count: int) -> float:
    """Return tasks per second between the first tenth, when everything is warm, and the last one."""
    finished = first = 0
    started = 0.0
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while finished < count:
        finished = done()
        if not started and finished >= count // 10:
            started, first = time.perf_counter(), finished
        if time.monotonic() > deadline:
            raise SystemExit(f"{name} has done {finished} of {count} tasks in {_TIMEOUT_SECONDS:g} s")
        time.sleep(0.005)
    return (finished - first) / (time.perf_counter() - started)
