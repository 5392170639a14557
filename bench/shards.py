"""Measure what one event costs Redis: the figure from which docs/scaling.md computes how much one server carries."""

from typing import Final

import redis
import uvloop

from ackfirst.shared.queue import keys
from bench import servers
from bench.load import LANE, callbacks, closed_loop
from bench.plan import Plan, say
from bench.rows import Row, row
from bench.servers import thread_options, wait_until

_NOTHING: Final = "bench.handlers.nothing"
_CONNECTIONS: Final = 64


def cost(plan: Plan) -> list[Row]:
    """Measure Redis's CPU time for an event, on its way in and through an engine."""
    queued, handled, bytes_ = [], [], []
    count = min(plan.count, 5_000)
    for number in range(plan.rounds):
        with servers.redis() as url, redis.Redis.from_url(url) as client:
            with servers.ingest(url) as port:
                before, written = _cpu_seconds(client), _written_bytes(client)
                uvloop.run(closed_loop(port, callbacks(count), connections=_CONNECTIONS))
                queued.append((_cpu_seconds(client) - before) / count * 1e6)
            before = _cpu_seconds(client)
            with servers.workers(url, "--burst", *thread_options(), handlers=_NOTHING):
                wait_until(lambda c=client: c.llen(keys.queue(LANE)) == 0, "all events are handled", timeout=120)
                wait_until(lambda c=client: c.zcard(keys.finished(LANE)) >= count, "all events have ended", timeout=60)
                handled.append((_cpu_seconds(client) - before) / count * 1e6)
                bytes_.append((_written_bytes(client) - written) / count)
        say(f"redis, round {number + 1}: {queued[-1]:.0f} and {handled[-1]:.0f} µs")
    return [
        row("to queue an event, µs of one core", queued),
        row("to take and settle it, µs of one core", handled),
        row("events/s at 60 % of one core", [0.6e6 / (a + b) for a, b in zip(queued, handled, strict=True)]),
        row("append-only file, bytes an event", bytes_),
    ]


def _cpu_seconds(client: redis.Redis) -> float:
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def _written_bytes(client: redis.Redis) -> int:
    return int(client.info("persistence")["aof_current_size"])
