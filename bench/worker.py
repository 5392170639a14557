"""Our worker against RQ's own ``SimpleWorker`` on the same jobs, no-op handler, in turns."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import uuid

import redis
import redis.asyncio

from bench import servers
from bench.requests import callback_bodies
from shared import keys
from shared.enqueue import Enqueuer
from shared.envelope import Envelope
from shared.job import JobOptions

LANE = "bench"
_OPTIONS = JobOptions(timeout=180, result_ttl=300, failure_ttl=3600, retry_intervals=(5, 30))


def rates(rounds: int, *, count: int, stock_count: int) -> dict[str, list[float]]:
    """Jobs a second, ``rounds`` times in turn: ours, stock."""
    ours = [sys.executable, "-m", "ops.cli", "worker", "--burst", "--lane", LANE]
    stock = [sys.executable, "-m", "rq.cli", "worker", "--burst", "--quiet", "--serializer", "json"]
    stock += ["--worker-class", "rq.worker.SimpleWorker", keys.queue_name(LANE)]
    measured: dict[str, list[float]] = {"ackfirst": [], "stock": []}
    for _ in range(rounds):
        measured["ackfirst"].append(_rate(ours, count))
        measured["stock"].append(_rate(stock, stock_count))
    return measured


def _rate(command: list[str], count: int) -> float:
    """Jobs a second between the first and the last finished job, as Redis sees them: start-up does not count."""
    with servers.redis() as url, redis.Redis.from_url(url) as client, tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(url, count))
        env = {**os.environ, "ACKFIRST_REDIS_URL": url, "ACKFIRST_DATA_DIR": folder, "RQ_REDIS_URL": url}
        env |= {"ACKFIRST_HANDLERS": "bench.handlers", "ACKFIRST_LOG_LEVEL": "warning"}
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return _watch(client, process, count)


def _watch(client: redis.Redis, process: subprocess.Popen[bytes], count: int) -> float:
    finished_key = f"rq:finished:{keys.queue_name(LANE)}"
    while not (first := client.zcard(finished_key)):
        if process.poll() is not None:
            raise SystemExit("the worker ended before its first job")
        time.sleep(0.001)
    started = time.perf_counter()
    while (finished := client.zcard(finished_key)) < count and process.poll() is None:
        time.sleep(0.02)
    seconds = time.perf_counter() - started
    process.wait(timeout=60)
    if finished < count and client.zcard(finished_key) < count:
        raise SystemExit(f"only {finished} of {count} jobs finished")
    return (count - first) / seconds


async def fill(url: str, count: int) -> None:
    """Queue ``count`` events, as ingest does."""
    async with redis.asyncio.from_url(url) as client:
        enqueuer = Enqueuer(client, _OPTIONS, dedupe_seconds=3600)
        envelopes = [_envelope(body) for body in callback_bodies(count)]
        for start in range(0, count, 200):
            await enqueuer.enqueue(envelopes[start : start + 200], now=time.time())


def _envelope(body: bytes) -> Envelope:
    return Envelope(
        id=f"m-{uuid.uuid4().hex}",
        family="inbound-message",
        account="k7m2p9qa",
        application_id="c4a1e7d0-2f6b-4a35-9d1e-7b0c5f8a3e21",
        lane=LANE,
        message_id=str(uuid.uuid4()),
        received_at=time.time(),
        encoding="json",
        content_type="application/json",
        body=body,
        query="",
        iat=int(time.time()),
        jti=str(uuid.uuid4()),
        secret=0,
    )
