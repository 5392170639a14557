"""Shows a report on a terminal, or in a file, where it is the same text without colours."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table

from ackfirst.simulator.report import AnswerRow, Ended, Report
from ackfirst.simulator.spans import span


def show(report: Report, console: Console) -> None:
    """Who was answered what, and how fast."""
    console.print(_answers(report))
    console.print(_summary(report), highlight=False)


def _answers(report: Report) -> Table:
    table = Table("callbacks", "verdict", "answered", "count", "", title=f"Answers of {report.target}")
    table.columns[3].justify = "right"
    for rows in _alike(report.answers):
        first = rows[0]
        mark = f"[red]{first.problem}[/]" if first.problem else "[green]as it should be[/]"
        table.add_row(first.kind, first.verdict, path(rows), f"{sum(row.count for row in rows):,}", mark)
    return table


def path(rows: Sequence[AnswerRow]) -> str:
    """The statuses of all attempts in turn; of rows that differ only in how often one came, the fewest and the most."""
    lengths = zip(*([count for _, count in _steps(row)] for row in rows), strict=True)
    steps = (status for status, _ in _steps(rows[0]))
    return ", then ".join(_step(status, counts) for status, counts in zip(steps, lengths, strict=True))


def _alike(rows: Iterable[AnswerRow]) -> list[list[AnswerRow]]:
    """An outage leaves a row for each number of attempts that failed: they are shown as one."""
    groups: dict[object, list[AnswerRow]] = {}
    for row in rows:
        statuses = tuple(status for status, _ in _steps(row))
        groups.setdefault((row.kind, row.verdict, statuses, row.problem), []).append(row)
    return list(groups.values())


def _steps(row: AnswerRow) -> list[tuple[int | None, int]]:
    """Each status with how often it came in a row."""
    return [(status, len(list(same))) for status, same in groupby(row.answers)]


def _step(status: int | None, counts: Sequence[int]) -> str:
    fewest, most = min(counts), max(counts)
    often = "" if most == 1 else f" ×{fewest}" if fewest == most else f" ×{fewest}-{most}"  # noqa: RUF001 - a sign of times
    return ("no answer" if status is None else str(status)) + often


def _summary(report: Report) -> str:
    sent = f"{report.sent:,} of {report.planned:,} callbacks in {report.seconds:.1f} s ({report.per_second:,.0f}/s)"
    lines = [
        f"sent          {sent}, seed {report.seed}",
        f"acknowledged  {report.acknowledged:,} genuine; {report.parked:,} parked; {report.retries:,} retries",
        f"latency       {_latency(report)}",
        f"unexpected    {report.unexpected:,}",
        f"at Nexmo      {ends(report.provider)}",
    ]
    if report.provider.delivered:
        lines.append(f"longest wait  {span(report.provider.longest_wait)} until it was delivered")
    return "\n".join([*lines, "interrupted"] if report.interrupted else lines)


def _latency(report: Report) -> str:
    if report.latency_ms is None:
        return "no answers"
    measured = report.latency_ms
    return f"p50 {measured.p50} ms, p95 {measured.p95} ms, p99 {measured.p99} ms, max {measured.max} ms"


def ends(ended: Ended) -> str:
    """What became of the provider's callbacks."""
    counts = f"{ended.created:,} created: {ended.delivered:,} delivered, {ended.dropped:,} dropped"
    return f"{counts}, {ended.expired:,} expired, {ended.waiting:,} waiting"
