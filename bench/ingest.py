"""Ingest against the bare handler, the textbook and its peers, in turns; and its ack latency at a steady rate."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import uvloop

from bench import servers
from bench.load import Run, closed_loop, open_loop
from bench.peers.install import Peers
from bench.progress import say
from bench.requests import BODY_SIZE, signed_requests

_CONNECTIONS = 64

#: Callbacks before the clock starts.
WARM_UP = 200

#: Starts a server that is given Redis's URL; yields its port.
Server = Callable[[str], AbstractContextManager[int]]


def rates(rounds: int, peers: Peers | None, *, count: int) -> dict[str, list[Run]]:
    """``rounds`` times in turn: bare, ackfirst, textbook, and the peers. Slow ones get an eighth of the callbacks."""
    rivals: dict[str, tuple[Server, int]] = {
        "bare": (_beside(servers.bare), count),
        "ackfirst": (servers.ingest, count),
        "textbook": (servers.textbook, count // 8),
    }
    if peers:
        rivals["FastAPI + Celery"] = (lambda url: servers.fastapi(url, peers.python), count // 8)
        if (node := peers.node) is not None:
            rivals["Fastify + BullMQ"] = (lambda url: servers.fastify(url, node), count // 8)
    runs: dict[str, list[Run]] = {name: [] for name in rivals}
    for number in range(rounds):
        for name, (server, callbacks) in rivals.items():
            with servers.redis() as url:
                runs[name].append(rate(partial(server, url), max(500, callbacks)))
            say(f"ingest, round {number + 1}: {name}, {runs[name][-1].rate:,.0f}/s")
    return runs


def _beside(server: Callable[[], AbstractContextManager[int]]) -> Server:
    return lambda _url: server()


def rate(server: Callable[[], AbstractContextManager[int]], count: int, *, size: int = BODY_SIZE) -> Run:
    """Closed loop of ``count`` callbacks with bodies of ``size`` bytes, after ``WARM_UP`` that do not count.

    Raises:
        SystemExit: An answer was not 200.
    """
    requests = signed_requests(count, size=size)
    with server() as port:
        uvloop.run(closed_loop(port, signed_requests(WARM_UP, size=size), connections=8))
        run = uvloop.run(closed_loop(port, requests, connections=_CONNECTIONS))
    if set(run.statuses) != {200}:
        raise SystemExit(f"not every answer was 200: {dict(run.statuses)}")
    return run


def latency(rounds: int, *, rate: float, seconds: float) -> list[Run]:
    """Open loop at ``rate`` callbacks a second against ackfirst."""
    runs = []
    for number in range(rounds):
        requests = signed_requests(int(rate * seconds))
        with servers.redis() as url, servers.ingest(url) as port:
            asyncio.run(open_loop(port, signed_requests(100), rate=rate, connections=16))
            runs.append(asyncio.run(open_loop(port, requests, rate=rate, connections=64)))
        say(f"latency, round {number + 1}: p99 {runs[-1].percentile(0.99):.3g} ms")
    return runs
