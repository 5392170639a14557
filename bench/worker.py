"""Our worker against RQ's own ``SimpleWorker`` on the same jobs, no-op handler, in turns."""

import asyncio
import tempfile
import time
import uuid

import redis
import redis.asyncio

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.dedupe import DEDUPE_SECONDS
from ackfirst.shared.queue.enqueue import Enqueuer
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.settings import load_settings
from bench import servers
from bench.processes import running, wait_until
from bench.progress import say
from bench.requests import LANE, callback_bodies


def rates(rounds: int, *, count: int, stock_count: int) -> dict[str, list[float]]:
    """Jobs a second, ``rounds`` times in turn: ours, stock."""
    ours = ["-m", "ackfirst", "worker", "--burst", "--lane", LANE]
    stock = ["-m", "rq.cli", "worker", "--burst", "--quiet", "--serializer", "json"]
    stock += ["--worker-class", "rq.worker.SimpleWorker", keys.queue_name(LANE)]
    measured: dict[str, list[float]] = {"ackfirst": [], "stock": []}
    for number in range(rounds):
        measured["ackfirst"].append(_rate(ours, count))
        measured["stock"].append(_rate(stock, stock_count))
        say(f"worker, round {number + 1}: {measured['ackfirst'][-1]:,.0f}/s, stock {measured['stock'][-1]:,.0f}/s")
    return measured


def _rate(command: list[str], count: int) -> float:
    """Jobs a second between the first and the last finished job, as Redis sees them: start-up does not count."""
    with servers.redis() as url, redis.Redis.from_url(url) as client, tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(url, count))
        env = {"ACKFIRST_REDIS_URL": url, "ACKFIRST_DATA_DIR": folder, "RQ_REDIS_URL": url}
        env |= {"ACKFIRST_HANDLERS": "bench.handlers", "ACKFIRST_LOG_LEVEL": "warning"}
        with running(*command, env=env):
            return _watch(client, count)


def _watch(client: redis.Redis, count: int) -> float:
    def finished() -> int:
        return int(client.zcard(keys.finished(LANE)))

    wait_until(lambda: finished() > 0, "a job is done", pause=0.001)
    first, started = finished(), time.perf_counter()
    wait_until(lambda: finished() >= count, f"{count} jobs are done", patience=180)
    return (count - first) / (time.perf_counter() - started)


async def fill(url: str, count: int) -> None:
    """Queue ``count`` events in the lane ``LANE``, as ingest does.

    Raises:
        SystemExit: Redis does not take one.
    """
    settings = load_settings({})
    async with redis.asyncio.from_url(url) as client:
        enqueuer = Enqueuer(client, settings.job_options, dedupe_seconds=DEDUPE_SECONDS)
        envelopes = [envelope(body) for body in callback_bodies(count)]
        for start in range(0, count, 200):
            results = await enqueuer.enqueue(envelopes[start : start + 200], now=time.time())
            if refused := [result for result in results if result is not True]:
                raise SystemExit(f"Redis did not take {len(refused)} events: {refused[0]}")


def envelope(body: bytes, *, lane: str = LANE) -> Envelope:
    """What ingest makes of a verified callback."""
    return Envelope(
        id=f"m-{uuid.uuid4().hex}",
        family="inbound-message",
        account="k7m2p9qa",
        application_id="c4a1e7d0-2f6b-4a35-9d1e-7b0c5f8a3e21",
        lane=lane,
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
