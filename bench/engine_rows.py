"""The tables of the engine: rates, and the time from a callback to its handler."""

import statistics

from bench import reach, tasks, worker
from bench.plan import Plan
from bench.rows import Row, at, ratio, row


def rates(plan: Plan) -> list[Row]:
    """Against RQ's own worker."""
    found = worker.rates(plan.rounds, count=plan.count, stock_count=max(500, plan.count // 10))
    return [
        row("ackfirst, jobs/s", found["ackfirst"]),
        row("stock SimpleWorker, jobs/s", found["stock"]),
        ratio("ackfirst / stock SimpleWorker", found["ackfirst"], found["stock"], at_least=25),
    ]


def peers(plan: Plan) -> list[Row]:
    """Against other task queues; nothing without them."""
    if plan.peers is None:
        return []
    found = tasks.rates(tasks.contenders(plan.peers), plan.rounds, count=max(1000, plan.count // 3))
    rows = [row(f"{name}, tasks/s", each) for name, each in found.items()]
    names = [name for name in ("dramatiq", "arq", "SAQ", "Celery") if name in found]
    fastest = max(names, key=lambda name: statistics.median(found[name]))
    for kind in ("plain", "async"):
        ours = found[f"ackfirst, {kind} handler"]
        rows.append(ratio(f"{kind} handler / {fastest}, the fastest in Python", ours, found[fastest], at_least=3))
    if "BullMQ" in found:
        rows.append(ratio("async handler / BullMQ", found["ackfirst, async handler"], found["BullMQ"], at_least=1))
    return rows


def reached(plan: Plan) -> list[Row]:
    """Time from callback to handler, also beside a full lane."""
    runs = reach.steady(plan.rounds, rate=300, seconds=10)
    beside, left = reach.beside_a_full_lane(waiting=300_000, rate=1, seconds=30)
    return [
        row("300/s, p50 ms", [at(run, 0.50) for run in runs], at_most=5),
        row("300/s, p99 ms", [at(run, 0.99) for run in runs], at_most=25),
        row("1/s beside a lane with 100,000 waiting, p50 ms", [at(beside, 0.50)]),
        row("the same, p99 ms", [at(beside, 0.99)]),
        row("waiting in that lane at the end", [left], at_least=100_000),
    ]
