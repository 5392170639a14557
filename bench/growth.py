"""How ingest's and the engine's rates change with processes, with waiting events, and with the size of bodies.

A turn is one and the same thing everywhere: ingest takes some callbacks, then an engine handles as many events.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import redis

from ackfirst.shared.queue import keys
from bench import ingest, loading, servers
from bench.processes import wait_until
from bench.progress import say
from bench.requests import BODY_SIZE, LANE

PROCESSES: Final = (1, 2, 4)
WAITING: Final = (1_000, 100_000, 1_000_000)
SIZES: Final = (700, 7_000, 70_000)

#: Where a lane's events wait until all engines have started.
_PARKED: Final = "bench:parked"


@dataclass(frozen=True, slots=True)
class Rates:
    """What the turns at one point showed, one value a turn."""

    ingest: list[float] = field(default_factory=list)
    """Callbacks a second."""
    engine: list[float] = field(default_factory=list)
    """Events a second."""
    busy: list[float] = field(default_factory=list)
    """Share of a core that the load generator used."""


def by_processes(rounds: int, *, count: int) -> dict[int, Rates]:
    """Of ingest and of engines at once: rates for each number of processes."""
    found = {processes: Rates() for processes in PROCESSES}
    for number in range(rounds):
        for processes, rates in found.items():
            with servers.redis() as url:
                _turn(url, rates, count=count, processes=processes)
            _tell(f"processes, round {number + 1}: {processes}", rates)
    return found


def by_size(rounds: int, *, count: int) -> dict[int, Rates]:
    """Rates for each size of a body, in bytes; of large ones there are fewer."""
    found = {size: Rates() for size in SIZES}
    for number in range(rounds):
        for size, rates in found.items():
            with servers.redis() as url:
                _turn(url, rates, count=max(500, count // max(1, size // 7_000)), size=size)
            _tell(f"bodies, round {number + 1}: {size:,} bytes", rates)
    return found


def by_waiting(rounds: int, *, count: int) -> list[tuple[int, Rates, Rates]]:
    """Depth, rates with the fewest waiting, rates at that depth: two servers in turns, for each depth that fits.

    Each turn puts in as much as it takes out, so that a server is filled once and not in every round.
    """
    found = []
    with servers.redis() as short, servers.redis() as deep:
        for depth in _depths(deep):
            pair = (depth, Rates(), Rates())
            for number in range(rounds):
                for url, waiting, rates in ((short, WAITING[0], pair[1]), (deep, depth, pair[2])):
                    loading.top_up(url, waiting)
                    _turn(url, rates, count=count)
                    _tell(f"waiting, round {number + 1}: {waiting:,}", rates)
            found.append(pair)
    return found


def _depths(url: str) -> Iterator[int]:
    with redis.Redis.from_url(url) as client:
        for depth in WAITING[1:]:
            if loading.fits(client, depth):
                yield depth
            else:
                say(f"waiting: left out, {depth:,} events need more memory than half of Redis's")


def _turn(url: str, rates: Rates, *, count: int, processes: int = 1, size: int = BODY_SIZE) -> None:
    with redis.Redis.from_url(url) as client:
        before = client.llen(keys.queue(LANE))
        run = ingest.rate(partial(servers.ingest, url, processes=processes), count, size=size)
        came = client.llen(keys.queue(LANE)) - before
        if came != count + ingest.WARM_UP:  # what went to the disk would be another measurement
            raise SystemExit(f"ingest acknowledged {count + ingest.WARM_UP} callbacks and queued {came}")
        rates.ingest.append(run.rate)
        rates.busy.append(run.busy)
        rates.engine.append(engine_rate(client, url, count=count, processes=processes))


def engine_rate(client: redis.Redis, url: str, *, count: int, processes: int) -> float:
    """Events a second, from the first that is done to the ``count``-th. The lane is empty until all engines are up."""
    queue, engines = keys.queue(LANE), client.scard(keys.RQ_WORKERS) + processes
    client.rename(queue, _PARKED)
    with servers.workers(url, "--lane", LANE, "--processes", str(processes), handlers="bench.handlers"):
        wait_until(lambda: client.scard(keys.RQ_WORKERS) >= engines, "every engine has started")
        before = _done(client)
        client.rename(_PARKED, queue)
        wait_until(lambda: _done(client) > before, "an event is done", pause=0.001)
        first, began = _done(client), time.perf_counter()
        wait_until(lambda: _done(client) >= before + count, f"{count} events are done", patience=120, pause=0.005)
        return (_done(client) - first) / (time.perf_counter() - began)


def _done(client: redis.Redis) -> int:
    return int(client.hget(keys.OUTCOMES, "processed") or 0)


def _tell(turn: str, rates: Rates) -> None:
    say(f"{turn}: ingest {rates.ingest[-1]:,.0f}/s, engine {rates.engine[-1]:,.0f}/s")
