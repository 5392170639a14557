"""What is measured, section by section, in the order of the page."""

from collections.abc import Callable
from typing import Final

from bench import engine_rows, growth, growth_rows, ingest_rows, memory
from bench.plan import Plan
from bench.rows import Row, row

#: Rounds at the most of what has no limit: a run is to end while somebody waits for it.
_ROUNDS: Final = 3


def _processes(plan: Plan) -> list[Row]:
    return growth_rows.processes(growth.by_processes(min(plan.rounds, _ROUNDS), count=plan.count))


def _waiting(plan: Plan) -> list[Row]:
    return growth_rows.waiting(growth.by_waiting(plan.rounds, count=plan.count))


def _bodies(plan: Plan) -> list[Row]:
    return growth_rows.bodies(growth.by_size(min(plan.rounds, _ROUNDS), count=plan.count))


def _memory(_plan: Plan) -> list[Row]:
    costs = memory.waiting(20_000)
    limits = {"all of it": 1500.0}
    rows = [row(f"{name}, bytes", [max(0.0, round(cost, 1))], at_most=limits.get(name)) for name, cost in costs.items()]
    rows.append(row(f"a remembered id of {memory.IDS:,}, bytes", [memory.remembered()], at_most=24))
    return [*rows, row("an id as a key of its own, bytes", [memory.plain_key(100_000)])]


#: Name on the command line -> what measures it.
SECTIONS: Final[dict[str, Callable[[Plan], list[Row]]]] = {
    "ingest": ingest_rows.rates,
    "stages": ingest_rows.steps,
    "latency": ingest_rows.latency,
    "outage": ingest_rows.while_redis_is_killed,
    "drain": ingest_rows.spool,
    "worker": engine_rows.rates,
    "tasks": engine_rows.peers,
    "reach": engine_rows.reached,
    "processes": _processes,
    "waiting": _waiting,
    "bodies": _bodies,
    "memory": _memory,
}

#: Those that measure other people's queues as well.
PEERED: Final = frozenset({"ingest", "tasks"})
