"""The way from the spool on disk to Redis: how fast it is emptied, and what live callbacks notice of it."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis
import structlog

from ackfirst.ingest.spool.segment_log import SegmentLog
from ackfirst.shared.queue import keys
from ackfirst.shared.spool.folder import spool_folder, take_slot
from ackfirst.shared.spool.frame import Frame
from bench import servers, worker
from bench.load import Run, open_loop
from bench.processes import wait_until
from bench.progress import say
from bench.requests import callback_bodies, signed_requests

#: Where the spooled events belong; live ones have another lane.
_LANE: Final = "spooled"

#: Seconds that a spool may take to be emptied.
_PATIENCE: Final = 120.0

#: Live callbacks before any is counted.
_WARM_UP: Final = 100


@dataclass(frozen=True, slots=True)
class Drained:
    """One round."""

    alone: float
    """Events a second while no callback comes."""
    beside: float
    """Events a second while callbacks come."""
    draining: Run
    """The live callbacks meanwhile."""
    calm: Run
    """As many without a spool to empty."""


def rounds(number: int, *, count: int, rate: float) -> list[Drained]:
    """In turns: a spool of ``count`` events alone, half of it beside ``rate`` callbacks a second, as many alone."""
    found = []
    for turn in range(number):
        alone, beside = _alone(count), _beside(count // 2, rate)
        found.append(Drained(alone, beside[0], beside[1], _calm(beside[1].statuses.total(), rate)))
        say(f"drain, round {turn + 1}: {alone:,.0f}/s alone, {beside[0]:,.0f}/s beside {rate:g} callbacks/s")
    return found


def _alone(count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder, servers.redis() as url:
        _fill(Path(folder), count)
        with servers.ingest(url, spool=Path(folder)):
            return _watch(url, count)


def _beside(count: int, rate: float) -> tuple[float, Run]:
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder, servers.redis() as url:
        _fill(Path(folder), count)
        requests = signed_requests(int(rate * _PATIENCE))
        with servers.ingest(url, spool=Path(folder)) as port:
            return asyncio.run(_both(url, count, port, requests, rate))


async def _both(url: str, count: int, port: int, requests: list[bytes], rate: float) -> tuple[float, Run]:
    watching = asyncio.create_task(asyncio.to_thread(_watch, url, count))

    def while_draining() -> Iterator[bytes]:
        for request in requests[_WARM_UP:]:
            if watching.done():
                return
            yield request

    await open_loop(port, requests[:_WARM_UP], rate=rate, connections=64)
    run = await open_loop(port, while_draining(), rate=rate, connections=64)
    return await watching, run


def _calm(callbacks: int, rate: float) -> Run:
    with servers.redis() as url, servers.ingest(url) as port:
        asyncio.run(open_loop(port, signed_requests(_WARM_UP), rate=rate, connections=64))
        return asyncio.run(open_loop(port, signed_requests(callbacks), rate=rate, connections=64))


def _watch(url: str, count: int) -> float:
    """Events a second, from the first that is in Redis to the last."""
    with redis.Redis.from_url(url) as client:

        def arrived() -> int:
            return int(client.llen(keys.queue(_LANE)))

        wait_until(lambda: arrived() > 0, "the spool is being emptied", pause=0.002)
        first, began = arrived(), time.perf_counter()
        wait_until(lambda: arrived() >= count, "the spool is empty", patience=_PATIENCE)
        return (count - first) / (time.perf_counter() - began)


def _fill(data_dir: Path, count: int) -> None:
    """Leave a spool as a process does that was killed while Redis was away."""
    slot = take_slot(spool_folder(data_dir))
    segments = SegmentLog(slot, max_bytes=1 << 30, log=structlog.get_logger())
    frames = [
        Frame(time.time(), worker.envelope(body, lane=_LANE).encode().encode()) for body in callback_bodies(count)
    ]
    for start in range(0, count, 1000):
        segments.append(frames[start : start + 1000])
    segments.close()
    slot.release()
