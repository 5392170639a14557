"""``python -m bench``: run every measurement in one go and print the table (``--json``: one object)."""

import json
import statistics
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from bench import ingest, worker


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Times each pair is measured, in turns.")
@click.option("--count", default=10_000, show_default=True, help="Callbacks a round.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
def main(*, rounds: int, count: int, as_json: bool) -> None:
    """Measure ingest and worker against their references on this machine."""
    rows = [*_ingest_rows(rounds, count), *_latency_rows(), *_worker_rows(rounds, count // 4)]
    if as_json:
        click.echo(json.dumps(rows))
    else:
        _print(rows)


def _ingest_rows(rounds: int, count: int) -> list[dict[str, object]]:
    runs = ingest.rates(rounds, count=count, textbook_count=max(500, count // 8))
    rates = {name: [run.rate for run in each] for name, each in runs.items()}
    rows = [_row(f"{name} server, callbacks/s", rates[name], "") for name in rates]
    rows += [
        _row("ingest / bare handler", _ratios(rates["ackfirst"], rates["bare"]), ">= 0.50"),
        _row("ingest / textbook", _ratios(rates["ackfirst"], rates["textbook"]), ">= 10"),
        _row("load generator's share of a core, bare", [run.busy for run in runs["bare"]], "< 0.9"),
        _row("load generator's share of a core, ingest", [run.busy for run in runs["ackfirst"]], "< 0.9"),
    ]
    return rows


def _latency_rows() -> list[dict[str, object]]:
    runs = ingest.latency(3, rate=300, seconds=10)
    return [
        _row("ack at 300/s, p50 ms", [run.percentile(0.50) for run in runs], ""),
        _row("ack at 300/s, p99 ms", [run.percentile(0.99) for run in runs], "<= 10"),
    ]


def _worker_rows(rounds: int, count: int) -> list[dict[str, object]]:
    rates = worker.rates(rounds, count=count)
    return [
        _row("our worker, jobs/s", rates["ackfirst"], ""),
        _row("stock SimpleWorker, jobs/s", rates["stock"], ""),
        _row("our worker / stock SimpleWorker", _ratios(rates["ackfirst"], rates["stock"]), ">= 25"),
    ]


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def _row(what: str, values: Sequence[float], goal: str) -> dict[str, object]:
    median, low, high = statistics.median(values), min(values), max(values)
    return {"what": what, "median": round(median, 3), "min": round(low, 3), "max": round(high, 3), "goal": goal}


def _print(rows: list[dict[str, object]]) -> None:
    table = Table(title="ackfirst, measured on this machine in one run")
    table.add_column("what")
    for name in ("median", "min", "max", "goal"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*[str(value) for value in row.values()])
    Console().print(table)


if __name__ == "__main__":
    main()
