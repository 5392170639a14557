"""What a sender sees of a Redis that is killed and comes back, twice, under a steady load."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import redis

from ackfirst.shared.embedded import EmbeddedServer
from ackfirst.shared.queue import keys
from bench import servers
from bench.load import Run, open_loop
from bench.processes import wait_until
from bench.progress import say
from bench.requests import LANE, signed_requests

#: When Redis is killed, as shares of the time that the load takes.
_STRIKES: Final = (0.3, 0.6)

#: Seconds until it is started again.
_AWAY: Final = 0.5

#: So many that a stall of a second holds up no callback on its way out of the load generator.
_CONNECTIONS: Final = 512


@dataclass(frozen=True, slots=True)
class Outage:
    """What came of one run."""

    run: Run
    missing: int
    """Callbacks that were answered 200 and whose events did not come to the queue."""


def killed(rounds: int, *, rate: float, seconds: float) -> list[Outage]:
    """``kill -9`` of Redis at a third and at two thirds of each round."""
    found = []
    for number in range(rounds):
        with servers.redis_server() as server, servers.ingest(server.url) as port:
            run = asyncio.run(_under_fire(server, port, rate, seconds))
            found.append(Outage(run, _missing(server.url, run.statuses[200])))
        say(f"outage, round {number + 1}: p99 {run.percentile(0.99):.3g} ms, {found[-1].missing} missing")
    return found


async def _under_fire(server: EmbeddedServer, port: int, rate: float, seconds: float) -> Run:
    requests = signed_requests(int(rate * seconds))
    async with asyncio.TaskGroup() as group:
        load = group.create_task(open_loop(port, requests, rate=rate, connections=_CONNECTIONS))
        group.create_task(asyncio.to_thread(_strike, server, seconds))
    return load.result()


def _strike(server: EmbeddedServer, seconds: float) -> None:
    began = time.monotonic()
    for share in _STRIKES:
        time.sleep(max(0.0, began + share * seconds - time.monotonic()))
        os.kill(server.pid, signal.SIGKILL)
        time.sleep(_AWAY)
        server.restart_if_dead()


def _missing(url: str, acknowledged: int) -> int:
    """Waits until the spool is empty, or for half a minute."""
    with redis.Redis.from_url(url) as client:

        def waiting() -> int:
            return int(client.llen(keys.queue(LANE)))

        with suppress(SystemExit):
            wait_until(lambda: waiting() >= acknowledged, "all events are queued")
        return acknowledged - waiting()
