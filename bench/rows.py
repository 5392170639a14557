"""What is measured, section by section, and the limit that each row is held against."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench import ingest, memory, reach, stages, tasks, worker
from bench.load import Run
from bench.peers.install import Peers

Row = dict[str, str | float]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    rounds: int
    count: int
    peers: Peers | None


def _ingest(plan: Plan) -> list[Row]:
    runs = ingest.rates(plan.rounds, plan.peers, count=plan.count)
    rates = {name: [run.rate for run in each] for name, each in runs.items()}
    ours = rates["ackfirst"]
    rows = [_row(f"{name}, callbacks/s", each) for name, each in rates.items()]
    rows += [_ratio("ingest / bare handler", ours, rates["bare"], at_least=0.50)]
    rows += [_ratio("ingest / textbook", ours, rates["textbook"], at_least=10)]
    for name in ("FastAPI + Celery", "Fastify + BullMQ"):
        if name in rates:
            rows.append(_ratio(f"ingest / {name}", ours, rates[name], at_least=5))
    busiest = max((run.busy for each in runs.values() for run in each), default=0.0)
    return [*rows, _row("load generator, share of a core at most", [busiest], at_most=0.9)]


def _stages(plan: Plan) -> list[Row]:
    steps = stages.microseconds(plan.rounds, count=2000)
    rows = [_row(f"{name}, µs", each) for name, each in steps.items()]
    return [*rows, _row("together, µs", [sum(each) for each in zip(*steps.values(), strict=True)])]


def _latency(plan: Plan) -> list[Row]:
    runs = ingest.latency(plan.rounds, rate=300, seconds=10)
    return [
        _row("ack at 300/s, p50 ms", _percentiles(runs, 0.50)),
        _row("p99 ms", _percentiles(runs, 0.99), at_most=10),
    ]


def _percentiles(runs: Sequence[Run], share: float) -> list[float]:
    return [run.percentile(share) for run in runs]


def _worker(plan: Plan) -> list[Row]:
    rates = worker.rates(plan.rounds, count=plan.count, stock_count=max(500, plan.count // 10))
    return [
        _row("ackfirst, jobs/s", rates["ackfirst"]),
        _row("stock SimpleWorker, jobs/s", rates["stock"]),
        _ratio("ackfirst / stock SimpleWorker", rates["ackfirst"], rates["stock"], at_least=25),
    ]


def _tasks(plan: Plan) -> list[Row]:
    if plan.peers is None:
        return []
    rates = tasks.rates(tasks.contenders(plan.peers), plan.rounds, count=max(1000, plan.count // 3))
    rows = [_row(f"{name}, tasks/s", each) for name, each in rates.items()]
    names = [name for name in ("dramatiq", "arq", "SAQ", "Celery") if name in rates]
    fastest = max(names, key=lambda name: statistics.median(rates[name]))
    for kind in ("plain", "async"):
        ours = rates[f"ackfirst, {kind} handler"]
        rows.append(_ratio(f"{kind} handler / {fastest}, the fastest in Python", ours, rates[fastest], at_least=3))
    if "BullMQ" in rates:
        rows.append(_ratio("async handler / BullMQ", rates["ackfirst, async handler"], rates["BullMQ"], at_least=1))
    return rows


def _reach(plan: Plan) -> list[Row]:
    runs = reach.steady(plan.rounds, rate=300, seconds=10)
    full = reach.beside_a_full_lane(waiting=100_000, rate=1, seconds=20)
    return [
        _row("300/s, p50 ms", [_at(run, 0.50) for run in runs], at_most=5),
        _row("300/s, p99 ms", [_at(run, 0.99) for run in runs], at_most=25),
        _row("1/s beside a lane with 100,000 waiting, p50 ms", [_at(full, 0.50)]),
        _row("the same, p99 ms", [_at(full, 0.99)]),
    ]


def _at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def _memory(_plan: Plan) -> list[Row]:
    costs = memory.waiting(20_000)
    limits = {"all of it": 1500.0}
    return [_row(f"{name}, bytes", [cost], at_most=limits.get(name)) for name, cost in costs.items()]


#: Heading -> what measures it.
SECTIONS: Final[dict[str, Callable[[Plan], list[Row]]]] = {
    "ingest": _ingest,
    "stages": _stages,
    "latency": _latency,
    "worker": _worker,
    "tasks": _tasks,
    "reach": _reach,
    "memory": _memory,
}


def _ratio(what: str, ours: Sequence[float], theirs: Sequence[float], *, at_least: float) -> Row:
    return _row(what, [a / b for a, b in zip(ours, theirs, strict=True)], at_least=at_least)


def _row(what: str, values: Sequence[float], *, at_least: float | None = None, at_most: float | None = None) -> Row:
    median = statistics.median(values)
    row: Row = {"what": what, "median": _short(median), "min": _short(min(values)), "max": _short(max(values))}
    if at_least is not None:
        return row | {"limit": f"≥ {at_least:g}", "holds": "yes" if median >= at_least else "no"}
    if at_most is not None:
        return row | {"limit": f"≤ {at_most:g}", "holds": "yes" if median <= at_most else "no"}
    return row | {"limit": "", "holds": ""}


def _short(number: float) -> float:
    """Three digits that mean something."""
    return float(f"{number:.3g}")
