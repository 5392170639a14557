"""``python -m bench``: run every measurement in one go; print the table, or write it to a page."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import click

from bench import ingest, report, worker
from bench.report import Row


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Times each pair is measured, in turns.")
@click.option("--count", default=10_000, show_default=True, help="Callbacks a round.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a row instead of the table.")
@click.option("--page", type=click.Path(path_type=Path), help="Write the table to this Markdown file as well.")
def main(*, rounds: int, count: int, as_json: bool, page: Path | None) -> None:
    """Measure ingest and worker against their references on this machine."""
    rows = [*_ingest_rows(rounds, count), *_latency_rows(), *_worker_rows(rounds, count // 4)]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
    else:
        report.show(rows)
    if page:
        page.write_text(report.page(rows, rounds=rounds, count=count))


def _ingest_rows(rounds: int, count: int) -> list[Row]:
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


def _latency_rows() -> list[Row]:
    runs = ingest.latency(3, rate=300, seconds=10)
    return [
        _row("ack at 300/s, p50 ms", [run.percentile(0.50) for run in runs], ""),
        _row("ack at 300/s, p99 ms", [run.percentile(0.99) for run in runs], "<= 10"),
    ]


def _worker_rows(rounds: int, count: int) -> list[Row]:
    rates = worker.rates(rounds, count=count)
    return [
        _row("our worker, jobs/s", rates["ackfirst"], ""),
        _row("stock SimpleWorker, jobs/s", rates["stock"], ""),
        _row("our worker / stock SimpleWorker", _ratios(rates["ackfirst"], rates["stock"]), ">= 25"),
    ]


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def _row(what: str, values: Sequence[float], goal: str) -> Row:
    median, low, high = statistics.median(values), min(values), max(values)
    return {"what": what, "median": _short(median), "min": _short(low), "max": _short(high), "goal": goal}


def _short(number: float) -> float:
    """Three digits that mean something."""
    return float(f"{number:.3g}")


if __name__ == "__main__":
    main()
