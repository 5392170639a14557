"""Measure the drain from the spool on disk to Redis: its rate, and the ack latency of callbacks meanwhile."""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis
import structlog

from ackfirst.ingest.spool.segment_log import SegmentLog
from ackfirst.shared.queue import keys
from ackfirst.shared.spool.folder import spool_folder, take_slot
from ackfirst.shared.spool.frame import Frame
from ackfirst.simulator.planned import Planned
from bench import servers
from bench.filling import envelope
from bench.ingest import percentiles
from bench.load import Run, callback_bodies, callbacks, open_loop
from bench.plan import Plan, say
from bench.rows import Row, ratio, row
from bench.servers import wait_until

#: Lane of the spooled events; live ones have another.
_LANE: Final = "spooled"

_DRAIN_TIMEOUT_SECONDS: Final = 120.0

#: Most time of live callbacks beside the drain.
_MEANWHILE_SECONDS: Final = 60.0

#: Live callbacks before the clock starts.
_WARM_UP: Final = 100


@dataclass(frozen=True, slots=True)
class Drained:
    """Result of one round."""

    alone: float
    """Events a second without live callbacks."""
    beside: float
    """Events a second beside live callbacks."""
    draining: Run
    """The live callbacks meanwhile."""
    calm: Run
    """As many live callbacks without a spool to drain."""


def drain(plan: Plan) -> list[Row]:
    """Drain a spool alone, half of it beside 300 callbacks a second, and compare with as many callbacks alone."""
    found, count, rate = [], 3 * plan.count, 300.0
    for number in range(plan.rounds):
        alone, (beside, draining) = _alone(count), _beside(count // 2, rate)
        found.append(Drained(alone, beside, draining, _calm(draining.statuses.total(), rate)))
        say(f"drain, round {number + 1}: {alone:,.0f}/s alone, {beside:,.0f}/s beside {rate:g} callbacks/s")
    meanwhile = percentiles([one.draining for one in found], 0.99)
    calm = percentiles([one.calm for one in found], 0.99)
    return [
        row("spool to Redis, events/s", [one.alone for one in found], at_least=10_000),
        row("the same beside 300 callbacks/s, events/s", [one.beside for one in found]),
        row("ack at 300/s meanwhile, p99 ms", meanwhile),
        row("ack at 300/s without a spool, p99 ms", calm),
        ratio("p99 while draining / without a spool", meanwhile, calm, at_most=2),
    ]


def _alone(count: int) -> float:
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder, servers.redis() as url:
        _fill(Path(folder), count)
        with servers.ingest(url, spool=Path(folder)):
            return _watch(url, count)


def _beside(count: int, rate: float) -> tuple[float, Run]:
    with tempfile.TemporaryDirectory(prefix="af-bench-") as folder, servers.redis() as url:
        _fill(Path(folder), count)
        traffic = callbacks(int(_MEANWHILE_SECONDS * rate))  # made before ingest starts and with it the drain
        with servers.ingest(url, spool=Path(folder)) as port:
            return asyncio.run(_both(url, count, port, rate, traffic))


async def _both(url: str, count: int, port: int, rate: float, traffic: list[Planned]) -> tuple[float, Run]:
    watching = asyncio.create_task(asyncio.to_thread(_watch, url, count))
    await open_loop(port, traffic[:_WARM_UP], rate=rate, connections=64)
    run = await open_loop(port, traffic[_WARM_UP:], rate=rate, connections=64, until=watching)
    if not run.latencies:
        raise SystemExit("the spool was empty before a callback was measured: give a larger --count")
    return await watching, run


def _calm(count: int, rate: float) -> Run:
    with servers.redis() as url, servers.ingest(url) as port:
        asyncio.run(open_loop(port, callbacks(_WARM_UP), rate=rate, connections=64))
        return asyncio.run(open_loop(port, callbacks(count), rate=rate, connections=64))


def _watch(url: str, count: int) -> float:
    """Return events per second, from the first that is in Redis to the last."""
    with redis.Redis.from_url(url) as client:

        def arrived() -> int:
            return int(client.llen(keys.queue(_LANE)))

        wait_until(lambda: arrived() > 0, "the spool is being drained", pause=0.002)
        first, began = arrived(), time.perf_counter()
        wait_until(lambda: arrived() >= count, "the spool is empty", timeout=_DRAIN_TIMEOUT_SECONDS)
        return (count - first) / (time.perf_counter() - began)


def _fill(data_dir: Path, count: int) -> None:
    """Write a spool as a process leaves it that is killed in an outage of Redis."""
    slot = take_slot(spool_folder(data_dir))
    segments = SegmentLog(slot, max_bytes=1 << 30, log=structlog.get_logger())
    frames = [Frame(time.time(), envelope(body, lane=_LANE).encode().encode()) for body in callback_bodies(count)]
    for start in range(0, count, 1000):
        segments.append(frames[start : start + 1000])
    segments.close()
    slot.release()
