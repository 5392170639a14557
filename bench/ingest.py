"""Measure ingest: its rate against the bare handler, the textbook and peers; its ack latency, also in an outage."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Final

import redis
import uvloop

from ackfirst.shared.embedded import EmbeddedServer
from ackfirst.shared.queue import keys
from bench import servers
from bench.load import BODY_SIZE, LANE, Run, callbacks, closed_loop, open_loop
from bench.peers.install import Peers
from bench.plan import Plan, say
from bench.rows import Row, ratio, row
from bench.servers import wait_until

_CONNECTIONS: Final = 64
#: Shows the ratio to the bare handler where more callbacks arrive at once.
_MANY_CONNECTIONS: Final = 256
_MANY: Final = f", {_MANY_CONNECTIONS} connections"

#: Callbacks before the clock starts.
WARM_UP: Final = 200

#: Rate and time of the open loops.
_RATE: Final = 300.0
_SECONDS: Final = 10.0

#: When Redis is killed, as shares of that time, and how long it is away.
_KILLS: Final = (0.3, 0.6)
_AWAY_SECONDS: Final = 0.5
#: Enough connections that a stall of a second holds up no callback in the load generator.
_OUTAGE_CONNECTIONS: Final = 512

#: Peer → least ratio to it.
_LIMITS: Final = {"textbook": 6.0, "FastAPI + Celery": 9.0, "Fastify + BullMQ": 4.5}

Server = Callable[[str], AbstractContextManager[int]]
"""Takes Redis's URL and yields the port."""


def rates(plan: Plan) -> list[Row]:
    """Compare callbacks per second with the bare handler, the textbook and the peers."""
    runs: dict[str, list[Run]] = {}
    for number in range(plan.rounds):
        for name, server, count, connections in _servers(plan.count, plan.peers):
            with servers.redis() as url:
                run = measure(partial(server, url), max(500, count), connections=connections)
            runs.setdefault(name, []).append(run)
            say(f"ingest, round {number + 1}: {name}, {run.rate:,.0f}/s")
    found = {name: [run.rate for run in each] for name, each in runs.items()}
    rows = [row(f"{name}, callbacks/s", each) for name, each in found.items()]
    for many in ("", _MANY):
        ours, bare = found["ackfirst" + many], found["bare" + many]
        rows.append(ratio(f"ingest / bare handler{many}", ours, bare, at_least=0.40))
    for name, limit in _LIMITS.items():
        if name in found:
            rows.append(ratio(f"ingest / {name}", found["ackfirst"], found[name], at_least=limit))
    return rows + [
        row(f"load generator at {name}, share of a core", [run.busy for run in runs[name]], at_most=0.9)
        for name in ("bare", "ackfirst")
    ]


def _servers(count: int, peers: Peers | None) -> list[tuple[str, Server, int, int]]:
    """Return name, server, number of callbacks and connections; slow servers get an eighth of the callbacks."""

    def bare(_url: str) -> AbstractContextManager[int]:
        return servers.bare()

    found: list[tuple[str, Server, int, int]] = [
        ("bare", bare, count, _CONNECTIONS),
        ("ackfirst", servers.ingest, count, _CONNECTIONS),
        ("bare" + _MANY, bare, count, _MANY_CONNECTIONS),
        ("ackfirst" + _MANY, servers.ingest, count, _MANY_CONNECTIONS),
        ("textbook", servers.textbook, count // 8, _CONNECTIONS),
    ]
    if peers:
        found.append(("FastAPI + Celery", lambda url: servers.fastapi(url, peers.python), count // 8, _CONNECTIONS))
        if (node := peers.node) is not None:
            found.append(("Fastify + BullMQ", lambda url: servers.fastify(url, node), count // 8, _CONNECTIONS))
    return found


def measure(
    server: Callable[[], AbstractContextManager[int]],
    count: int,
    *,
    size: int = BODY_SIZE,
    connections: int = _CONNECTIONS,
) -> Run:
    """Send ``count`` callbacks with bodies of ``size`` bytes in a closed loop, after a warm-up.

    Raises:
        SystemExit: An answer was not 200.
    """
    traffic = callbacks(count, size=size)
    with server() as port:
        uvloop.run(closed_loop(port, callbacks(WARM_UP, size=size), connections=8))
        run = uvloop.run(closed_loop(port, traffic, connections=connections))
    if set(run.statuses) != {200}:
        raise SystemExit(f"not every answer was 200: {dict(run.statuses)}")
    return run


def latency(plan: Plan) -> list[Row]:
    """Measure the time to the 200 in an open loop."""
    runs = []
    for number in range(plan.rounds):
        traffic = callbacks(int(_RATE * _SECONDS))
        with servers.redis() as url, servers.ingest(url) as port:
            asyncio.run(open_loop(port, callbacks(100), rate=_RATE, connections=16))
            runs.append(asyncio.run(open_loop(port, traffic, rate=_RATE, connections=_CONNECTIONS)))
        say(f"latency, round {number + 1}: p99 {runs[-1].percentile(0.99):.3g} ms")
    return [
        row("ack at 300/s, p50 ms", percentiles(runs, 0.50)),
        row("ack at 300/s, p99 ms", percentiles(runs, 0.99), at_most=10),
        row("load generator, share of a core", [run.busy for run in runs], at_most=0.9),
    ]


def outage(plan: Plan) -> list[Row]:
    """Measure the same while Redis is killed twice, and count events that are missing afterwards."""
    runs, missing = [], []
    for number in range(plan.rounds):
        with servers.redis_server() as server, servers.ingest(server.url) as port:
            runs.append(asyncio.run(_send_while_redis_is_killed(server, port)))
            missing.append(_missing(server.url, runs[-1].statuses[200]))
        say(f"outage, round {number + 1}: p99 {runs[-1].percentile(0.99):.3g} ms, {missing[-1]} missing")
    return [
        row("ack at 300/s, p50 ms", percentiles(runs, 0.50)),
        row("ack at 300/s, p99 ms", percentiles(runs, 0.99), at_most=150),
        row("ack at 300/s, longest ms", percentiles(runs, 1.0)),
        row("answers other than 200", [run.statuses.total() - run.statuses[200] for run in runs], at_most=0),
        row("answered 200 and not in the queue afterwards", missing, at_most=0),
    ]


async def _send_while_redis_is_killed(server: EmbeddedServer, port: int) -> Run:
    traffic = callbacks(int(_RATE * _SECONDS))
    async with asyncio.TaskGroup() as group:
        load = group.create_task(open_loop(port, traffic, rate=_RATE, connections=_OUTAGE_CONNECTIONS))
        group.create_task(asyncio.to_thread(_kill_twice, server))
    return load.result()


def _kill_twice(server: EmbeddedServer) -> None:
    started = time.monotonic()
    for share in _KILLS:
        time.sleep(max(0.0, started + share * _SECONDS - time.monotonic()))
        os.kill(server.pid, signal.SIGKILL)
        time.sleep(_AWAY_SECONDS)
        server.restart_if_dead()


def _missing(url: str, acknowledged: int) -> int:
    """Wait until the spool is empty, or half a minute; return how many acknowledged callbacks are not queued."""
    with redis.Redis.from_url(url) as client:

        def waiting() -> int:
            return int(client.llen(keys.queue(LANE)))

        with suppress(SystemExit):
            wait_until(lambda: waiting() >= acknowledged, "all events are queued")
        return acknowledged - waiting()


def percentiles(runs: Sequence[Run], share: float) -> list[float]:
    """Return the milliseconds below which ``share`` of each run's answers lie."""
    return [run.percentile(share) for run in runs]
