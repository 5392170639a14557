"""Fills a lane with as many events as are wanted, in minutes: as ingest writes them, from a process on every core.

The append-only file is off meanwhile. Then Redis writes it anew, and that has ended before anything is measured.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import redis

from ackfirst.shared.queue import keys
from bench import worker
from bench.processes import wait_until
from bench.progress import say
from bench.requests import LANE

#: Events that one process writes before it is given the next ones.
CHUNK: Final = 10_000

#: Bytes of Redis's memory that a waiting event takes at the most, with what remembers its id: to tell what fits.
ROOM: Final = 2_000

#: Seconds that Redis may take to rewrite its append-only file.
PATIENCE: Final = 300.0


def fits(client: redis.Redis, depth: int) -> bool:
    """Whether Redis can hold so many waiting events and still be far from where ingest sends new ones to disk."""
    limit = int(_info(client, "memory")["maxmemory"])
    return depth * ROOM < limit / 2


def top_up(url: str, depth: int) -> None:
    """Let at least ``depth`` events wait in the lane ``LANE``."""
    with redis.Redis.from_url(url) as client:
        missing = depth - client.llen(keys.queue(LANE))
        if missing <= CHUNK:
            asyncio.run(worker.fill(url, max(0, missing)))
            return
        say(f"filling Redis with {missing:,} events")
        with _without_append_only_file(client):
            _fill_from_every_core(url, missing)


def _fill_from_every_core(url: str, count: int) -> None:
    # Started, not forked: a fork would share this process's connections.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        for _ in pool.map(partial(_chunk, url), _chunks(count)):
            pass


def _chunks(count: int) -> Iterator[int]:
    for start in range(0, count, CHUNK):
        yield min(CHUNK, count - start)


def _chunk(url: str, count: int) -> None:
    asyncio.run(worker.fill(url, count))


@contextmanager
def _without_append_only_file(client: redis.Redis) -> Iterator[None]:
    client.config_set("appendonly", "no")
    yield
    client.config_set("appendonly", "yes")
    wait_until(lambda: _is_written(client), "Redis has rewritten its append-only file", patience=PATIENCE, pause=0.2)


def _is_written(client: redis.Redis) -> bool:
    state = _info(client, "persistence")
    busy = state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]
    return bool(state["aof_enabled"]) and not busy and state["aof_last_bgrewrite_status"] == "ok"


def _info(client: redis.Redis, section: str) -> dict[str, Any]:
    found: Any = client.info(section)
    return dict(found)
