"""Show a run on a terminal: a live view or a line a second while it runs, tables when it has ended.

Times are Nexmo's, except latencies.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ackfirst.simulator.chart import duration
from ackfirst.simulator.course import Snapshot
from ackfirst.simulator.report import AnswerRow, Fates, Report

_BARS: Final = "▁▂▃▄▅▆▇█"
#: Snapshots in the sparkline.
_SPARKLINE_LENGTH: Final = 40
_PLAIN_PERIOD_SECONDS: Final = 1.0
_TIMES: Final = "×"  # noqa: RUF001 - the multiplication sign is meant

Show = Callable[[Snapshot], None]


@contextmanager
def live(title: str) -> Iterator[Show]:
    """Draw the snapshots that are passed to the yielded function; nothing where standard error is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _snapshot: None
        return
    view = View(title)
    with Live(get_renderable=view.render, console=console, refresh_per_second=5, transient=True):
        yield view.show


@contextmanager
def plain(title: str) -> Iterator[Show]:
    """Print one line a second to standard error, for logs."""
    last = float("-inf")

    def show(snapshot: Snapshot) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PLAIN_PERIOD_SECONDS:
            last = now
            sys.stderr.write(f"{line(snapshot)}\n")
            sys.stderr.flush()

    sys.stderr.write(f"{title}\n")
    yield show


def line(snapshot: Snapshot) -> str:
    """Return a snapshot as one line."""
    blocker = _blocker(snapshot)
    parts = [
        f"{duration(snapshot.at):>8}",
        f"created {snapshot.created:,}",
        f"waiting {snapshot.waiting:,}",
        f"oldest {duration(snapshot.oldest)}",
        f"attempts {snapshot.attempts:,} ({_answers(snapshot)})",
    ]
    return "  ".join([*parts, f"behind {blocker}"] if blocker else parts)


class View:
    """The live view: the latest snapshot and a sparkline of the queue length."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._latest = Snapshot()
        self._lengths: deque[int] = deque(maxlen=_SPARKLINE_LENGTH)

    def show(self, snapshot: Snapshot) -> None:
        """Replace the snapshot that is shown."""
        self._latest = snapshot
        self._lengths.append(snapshot.waiting)

    def render(self) -> RenderableType:
        """Return the panel."""
        now = self._latest
        bar = ProgressBar(total=max(1, now.planned), completed=now.created, width=_SPARKLINE_LENGTH)
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row("Nexmo's time", duration(now.at))
        table.add_row("created", Group(f"{now.created:,} of {now.planned:,}", bar))
        table.add_row("waiting", f"{now.waiting:,}  {sparkline(tuple(self._lengths))}")
        table.add_row("oldest", duration(now.oldest))
        table.add_row("attempts", f"{now.attempts:,}  {_answers(now)}")
        blocker = _blocker(now)
        table.add_row("waits behind", Text(blocker or "nothing", style="bold red" if blocker else "green"))
        return Panel(table, title=self._title, title_align="left", padding=(0, 1))


def sparkline(values: tuple[int, ...]) -> str:
    """Return one character a value, the highest value the tallest; values below eight are never drawn tall."""
    top = max(len(_BARS) - 1, *values, 0)
    return "".join(_BARS[round((len(_BARS) - 1) * value / top)] for value in values)


def _answers(snapshot: Snapshot) -> str:
    answers = sorted(snapshot.answers.items())
    return ", ".join(f"{answer} {_TIMES}{count:,}" for answer, count in answers) or "no answers yet"


def _blocker(snapshot: Snapshot) -> str:
    """Describe the callback that the others wait for; empty while no attempt has failed."""
    blocker = snapshot.blocker
    if blocker is None or not blocker.answered:
        return ""
    whose = f"application {blocker.application}" if blocker.application else f"account {blocker.account or '(none)'}"
    attempt = f"attempt {blocker.attempts} got {blocker.answered}"
    following = f", the next in {duration(blocker.next_in)}" if blocker.next_in else ""
    behind = f"; {blocker.behind:,} wait for it" if blocker.behind else ""
    return f"{whose}: {attempt}{following}{behind}"


def show_report(report: Report, console: Console) -> None:
    """Print the answers by kind of callback, and the totals."""
    console.print(_answer_table(report))
    console.print(_summary(report), highlight=False)


def _answer_table(report: Report) -> Table:
    table = Table("callbacks", "verdict", "answered", "count", "", title=f"Answers of {report.target}")
    table.columns[3].justify = "right"
    for rows in _grouped(report.answers):
        first = rows[0]
        mark = f"[red]{first.problem}[/]" if first.problem else "[green]as expected[/]"
        table.add_row(first.kind, first.verdict, answer_path(rows), f"{sum(row.count for row in rows):,}", mark)
    return table


def answer_path(rows: Sequence[AnswerRow]) -> str:
    """Return the statuses in turn, with the fewest and the most repetitions among ``rows``."""
    lengths = zip(*([count for _, count in _steps(row)] for row in rows), strict=True)
    steps = (status for status, _ in _steps(rows[0]))
    return ", then ".join(_step(status, counts) for status, counts in zip(steps, lengths, strict=True))


def _grouped(rows: Iterable[AnswerRow]) -> list[list[AnswerRow]]:
    """Group rows that differ only in repetitions: an outage leaves a row for each number of failed attempts."""
    groups: dict[object, list[AnswerRow]] = {}
    for row in rows:
        statuses = tuple(status for status, _ in _steps(row))
        groups.setdefault((row.kind, row.verdict, statuses, row.problem), []).append(row)
    return list(groups.values())


def _steps(row: AnswerRow) -> list[tuple[int | None, int]]:
    """Return each status with its number of repetitions in a row."""
    return [(status, len(list(same))) for status, same in groupby(row.answers)]


def _step(status: int | None, counts: Sequence[int]) -> str:
    fewest, most = min(counts), max(counts)
    often = "" if most == 1 else f" {_TIMES}{fewest}" if fewest == most else f" {_TIMES}{fewest}-{most}"
    return ("no answer" if status is None else str(status)) + often


def _summary(report: Report) -> str:
    sent = f"{report.sent:,} of {report.planned:,} callbacks in {report.seconds:.1f} s ({report.per_second:,.0f}/s)"
    measured = report.latency_ms
    latency = "no answers"
    if measured is not None:
        latency = f"p50 {measured.p50} ms, p95 {measured.p95} ms, p99 {measured.p99} ms, max {measured.max} ms"
    lines = [
        f"sent          {sent}, seed {report.seed}",
        f"acknowledged  {report.acknowledged:,} genuine",
        f"quarantined   {report.quarantined:,}",
        f"retries       {report.retries:,}",
        f"latency       {latency}",
        f"unexpected    {report.unexpected:,}",
        f"at Nexmo      {_fates(report.provider)}",
    ]
    if report.provider.delivered:
        lines.append(f"longest wait  {duration(report.provider.longest_wait)} until delivery")
    return "\n".join([*lines, "interrupted"] if report.interrupted else lines)


def _fates(fates: Fates) -> str:
    counts = f"{fates.created:,} created: {fates.delivered:,} delivered, {fates.dropped:,} dropped"
    return f"{counts}, {fates.expired:,} expired, {fates.waiting:,} waiting"
