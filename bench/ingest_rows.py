"""The tables of ingest: rates, time to the 200, and what becomes of it while Redis is away."""

from collections.abc import Sequence

from bench import drain, ingest, outage, stages
from bench.load import Run
from bench.plan import Plan
from bench.rows import Row, ratio, row


def rates(plan: Plan) -> list[Row]:
    """Against the bare handler, the textbook and the peers."""
    runs = ingest.rates(plan.rounds, plan.peers, count=plan.count)
    found = {name: [run.rate for run in each] for name, each in runs.items()}
    ours = found["ackfirst"]
    rows = [row(f"{name}, callbacks/s", each) for name, each in found.items()]
    rows += [ratio("ingest / bare handler", ours, found["bare"], at_least=0.50)]
    rows += [ratio("ingest / textbook", ours, found["textbook"], at_least=10)]
    for name in ("FastAPI + Celery", "Fastify + BullMQ"):
        if name in found:
            rows.append(ratio(f"ingest / {name}", ours, found[name], at_least=5))
    for name in ("bare", "ackfirst"):
        rows.append(row(f"load generator at {name}, share of a core", [run.busy for run in runs[name]], at_most=0.9))
    return rows


def steps(plan: Plan) -> list[Row]:
    """Microseconds a callback, step by step."""
    found = stages.microseconds(plan.rounds, count=2000)
    rows = [row(f"{name}, µs", each) for name, each in found.items()]
    return [*rows, row("together, µs", [sum(each) for each in zip(*found.values(), strict=True)])]


def latency(plan: Plan) -> list[Row]:
    """Time to the 200 at a steady rate."""
    runs = ingest.latency(plan.rounds, rate=300, seconds=10)
    return [
        row("ack at 300/s, p50 ms", _percentiles(runs, 0.50)),
        row("ack at 300/s, p99 ms", _percentiles(runs, 0.99), at_most=10),
        row("load generator, share of a core", [run.busy for run in runs], at_most=0.9),
    ]


def while_redis_is_killed(plan: Plan) -> list[Row]:
    """The same under a fault, and that nothing is lost."""
    found = outage.killed(plan.rounds, rate=300, seconds=10)
    runs = [one.run for one in found]
    return [
        row("ack at 300/s, p50 ms", _percentiles(runs, 0.50)),
        row("ack at 300/s, p99 ms", _percentiles(runs, 0.99), at_most=150),
        row("ack at 300/s, longest ms", _percentiles(runs, 1.0)),
        row("answers other than 200", [run.statuses.total() - run.statuses[200] for run in runs], at_most=0),
        row("answered 200 and not in the queue afterwards", [one.missing for one in found], at_most=0),
    ]


def spool(plan: Plan) -> list[Row]:
    """How fast a spool is emptied, and what live callbacks notice of it."""
    found = drain.rounds(plan.rounds, count=3 * plan.count, rate=300)
    draining = _percentiles([one.draining for one in found], 0.99)
    calm = _percentiles([one.calm for one in found], 0.99)
    return [
        row("spool to Redis, events/s", [one.alone for one in found], at_least=10_000),
        row("the same beside 300 callbacks/s, events/s", [one.beside for one in found]),
        row("ack at 300/s meanwhile, p99 ms", draining),
        row("ack at 300/s without a spool, p99 ms", calm),
        ratio("p99 while draining / without a spool", draining, calm, at_most=2),
    ]


def _percentiles(runs: Sequence[Run], share: float) -> list[float]:
    return [run.percentile(share) for run in runs]
