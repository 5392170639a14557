"""Fill lanes with events as ingest writes them: a few from this process, or a million from a process on each core."""

import asyncio
import multiprocessing
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import redis
import redis.asyncio

from ackfirst.shared.queue import keys
from ackfirst.shared.queue.dedupe import DEDUPE_SECONDS
from ackfirst.shared.queue.enqueue import Enqueuer
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.settings import load_settings
from bench.load import API_KEY, LANE, callback_bodies
from bench.plan import say
from bench.servers import wait_until

#: Events that one process writes before it is given the next ones.
_CHUNK: Final = 10_000
_BATCH: Final = 200

#: Bytes of Redis's memory that a waiting event takes at most, with its remembered id.
_BYTES_PER_EVENT: Final = 2_000

_REWRITE_TIMEOUT_SECONDS: Final = 300.0


async def fill(url: str, count: int, *, lanes: int = 1) -> None:
    """Queue ``count`` events in the lane ``LANE``, or spread over that many lanes.

    Raises:
        SystemExit: Redis does not accept one.
    """
    settings = load_settings({})
    async with redis.asyncio.from_url(url) as client:
        enqueuer = Enqueuer(client, settings.job_options, dedupe_seconds=DEDUPE_SECONDS)
        envelopes = [
            envelope(body, lane=LANE if lanes == 1 else f"{LANE}-{number % lanes}")
            for number, body in enumerate(callback_bodies(count))
        ]
        for start in range(0, count, _BATCH):
            results = await enqueuer.enqueue(envelopes[start : start + _BATCH], now=time.time())
            if refused := [result for result in results if result is not True]:
                raise SystemExit(f"Redis did not accept {len(refused)} events: {refused[0]}")


def envelope(body: bytes, *, lane: str = LANE) -> Envelope:
    """Return the envelope that ingest makes of a verified callback."""
    return Envelope(
        id=f"m-{uuid.uuid4().hex}",
        family="inbound-message",
        account=API_KEY,
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


def fits(client: redis.Redis, depth: int) -> bool:
    """Return whether that many events leave half of Redis's memory free: ingest spools to disk when it is full."""
    limit = int(_info(client, "memory")["maxmemory"])
    return depth * _BYTES_PER_EVENT < limit / 2


def top_up(url: str, depth: int) -> None:
    """Add events until at least ``depth`` wait in the lane ``LANE``."""
    with redis.Redis.from_url(url) as client:
        missing = depth - client.llen(keys.queue(LANE))
        if missing <= _CHUNK:
            asyncio.run(fill(url, max(0, missing)))
            return
        say(f"filling Redis with {missing:,} events")
        with _without_append_only_file(client):
            # Spawned, not forked: a fork would share this process's connections.
            context = multiprocessing.get_context("spawn")
            chunks = [min(_CHUNK, missing - start) for start in range(0, missing, _CHUNK)]
            with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
                list(pool.map(partial(_fill_chunk, url), chunks))


def _fill_chunk(url: str, count: int) -> None:
    asyncio.run(fill(url, count))


@contextmanager
def _without_append_only_file(client: redis.Redis) -> Iterator[None]:
    """Turn the append-only file off; afterwards wait until Redis has written it anew, before anything is measured."""
    client.config_set("appendonly", "no")
    yield
    client.config_set("appendonly", "yes")
    wait_until(
        lambda: _is_written(client),
        "Redis has rewritten its append-only file",
        timeout=_REWRITE_TIMEOUT_SECONDS,
        pause=0.2,
    )


def _is_written(client: redis.Redis) -> bool:
    state = _info(client, "persistence")
    busy = state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]
    return bool(state["aof_enabled"]) and not busy and state["aof_last_bgrewrite_status"] == "ok"


def _info(client: redis.Redis, section: str) -> dict[str, Any]:
    found: Any = client.info(section)
    return dict(found)
