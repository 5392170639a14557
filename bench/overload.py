"""Measure the time to the 200 with replicas, and while strangers keep ingest busy."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bench import servers
from bench.ingest import percentiles
from bench.load import API_KEY, Run, callbacks, open_loop
from bench.plan import Plan, say
from bench.rows import Row, row

_RATE: Final = 300.0
_SECONDS: Final = 8.0
_WARM_UP: Final = 100

#: Genuine callbacks a second, and connections that send forgeries as fast as they are answered.
_FLOOD_RATE: Final = 100.0
_STRANGERS: Final = (100, 1000)
#: Connections of the genuine sender: enough that none waits for another.
_CONNECTIONS: Final = 600


def replicas(plan: Plan) -> list[Row]:
    """Measure what it costs to wait for a replica, in turns with not waiting, on the same two servers."""
    runs: dict[int, list[Run]] = {0: [], 1: []}
    for number in range(plan.rounds):
        with servers.replicated_redis() as url:
            for count, found in runs.items():
                with servers.ingest(url, settings={"ACKFIRST_REDIS_REPLICAS": str(count)}) as port:
                    asyncio.run(open_loop(port, callbacks(_WARM_UP), rate=_RATE, connections=16))
                    traffic = callbacks(int(_RATE * _SECONDS))
                    found.append(asyncio.run(open_loop(port, traffic, rate=_RATE, connections=64)))
        say(f"replicas, round {number + 1}: " + ", ".join(f"{r[-1].percentile(0.5):.3g} ms" for r in runs.values()))
    rows = []
    for share, name in ((0.50, "p50"), (0.99, "p99")):
        without, waiting = percentiles(runs[0], share), percentiles(runs[1], share)
        rows.append(row(f"ack at 300/s, {name} ms", without))
        rows.append(row(f"the same once a replica has it, {name} ms", waiting))
        rows.append(row(f"difference, {name} ms", [a - b for a, b in zip(waiting, without, strict=True)]))
    return rows


def flood(plan: Plan) -> list[Row]:
    """Measure genuine callbacks on new connections beside many that send forgeries."""
    rows = []
    for count in _STRANGERS:
        runs = []
        for number in range(plan.rounds):
            with servers.redis() as url, servers.ingest(url) as port, _strangers(port, count):
                traffic = callbacks(int(_FLOOD_RATE * _SECONDS))
                runs.append(asyncio.run(open_loop(port, traffic, rate=_FLOOD_RATE, connections=_CONNECTIONS)))
            say(f"flood, {count} strangers, round {number + 1}: p99 {runs[-1].percentile(0.99):.3g} ms")
        rows += [
            row(f"ack at 100/s beside {count:,} busy connections, p50 ms", percentiles(runs, 0.50)),
            row("p99 ms", percentiles(runs, 0.99)),
            row("longest ms", percentiles(runs, 1.0), at_most=2000),
            row("answers other than 200", [run.statuses.total() - run.statuses[200] for run in runs], at_most=0),
        ]
    return rows


@contextmanager
def _strangers(port: int, count: int) -> Iterator[None]:
    argv = [sys.executable, "-m", "tests.chaos.strangers", str(port), str(count), "600", API_KEY]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield
        finally:
            process.terminate()
