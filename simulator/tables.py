"""Shows a report on a terminal, or in a file, where it is the same text without colours."""

from itertools import groupby

from rich.console import Console
from rich.table import Table

from simulator.report import AnswerRow, Ended, Report
from simulator.spans import span


def show(report: Report, console: Console) -> None:
    """Who was answered what, and how fast."""
    console.print(_answers(report))
    console.print(_summary(report), highlight=False)


def _answers(report: Report) -> Table:
    table = Table("callbacks", "verdict", "answered", "count", "", title=f"Answers of {report.target}")
    table.columns[3].justify = "right"
    for row in report.answers:
        mark = f"[red]{row.problem}[/]" if row.problem else "[green]as it should be[/]"
        table.add_row(row.kind, row.verdict, path(row), f"{row.count:,}", mark)
    return table


def path(row: AnswerRow) -> str:
    """The statuses of all attempts in turn; those that follow each other are counted."""
    return ", then ".join(_times(status, len(list(same))) for status, same in groupby(row.answers))


def _times(status: int | None, times: int) -> str:
    text = "no answer" if status is None else str(status)
    return text if times == 1 else f"{text} ×{times}"  # noqa: RUF001 - a multiplication sign it is


def _summary(report: Report) -> str:
    sent = f"{report.sent:,} of {report.planned:,} callbacks in {report.seconds:.1f} s ({report.per_second:,.0f}/s)"
    lines = [
        f"sent          {sent}, seed {report.seed}",
        f"acknowledged  {report.acknowledged:,} genuine; {report.parked:,} parked; {report.retries:,} retries",
        f"latency       {_latency(report)}",
        f"unexpected    {report.unexpected:,}",
        f"at Nexmo      {ends(report.provider)}",
    ]
    return "\n".join([*lines, "interrupted"] if report.interrupted else lines)


def _latency(report: Report) -> str:
    if report.latency_ms is None:
        return "no answers"
    measured = report.latency_ms
    return f"p50 {measured.p50} ms, p95 {measured.p95} ms, p99 {measured.p99} ms, max {measured.max} ms"


def ends(ended: Ended) -> str:
    """What became of the provider's callbacks."""
    counts = f"{ended.created:,} created: {ended.delivered:,} delivered, {ended.dropped:,} dropped, "
    counts += f"{ended.expired:,} expired, {ended.waiting:,} still waiting"
    return f"{counts}; longest wait of a delivered one {span(ended.longest_wait)}" if ended.delivered else counts
