"""How a run stands, on a terminal that is drawn anew or line by line. Times are the provider's."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ackfirst.simulator.snapshot import Snapshot
from ackfirst.simulator.spans import span

_BARS: Final = "▁▂▃▄▅▆▇█"
#: Looks that the small curve shows.
_CURVE: Final = 40
#: Seconds between two lines of the plain view.
_EVERY: Final = 1.0

Show = Callable[[Snapshot], None]


@contextmanager
def live(title: str) -> Iterator[Show]:
    """Give what it yields a snapshot now and then. Nothing is drawn where standard error is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _snapshot: None
        return
    view = View(title)
    with Live(get_renderable=view.render, console=console, refresh_per_second=5, transient=True):
        yield view.show


@contextmanager
def plain(title: str) -> Iterator[Show]:
    """The same, a line a second on standard error, for logs."""
    last = [0.0]

    def show(snapshot: Snapshot) -> None:
        now = time.monotonic()
        if now - last[0] >= _EVERY:
            last[0] = now
            sys.stderr.write(f"{line(snapshot)}\n")
            sys.stderr.flush()

    sys.stderr.write(f"{title}\n")
    yield show


def line(snapshot: Snapshot) -> str:
    """One moment in one line."""
    blocker = _blocker(snapshot)
    parts = [
        f"{span(snapshot.at):>8}",
        f"created {snapshot.created:,}",
        f"waiting {snapshot.waiting:,}",
        f"oldest {span(snapshot.oldest)}",
        f"attempts {snapshot.attempts:,} ({_answers(snapshot)})",
    ]
    return "  ".join([*parts, f"behind {blocker}"] if blocker else parts)


class View:
    """What is drawn: the latest snapshot, and a curve of the last ones."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._latest = Snapshot()
        self._lengths: deque[int] = deque(maxlen=_CURVE)

    def show(self, snapshot: Snapshot) -> None:
        """Take the next one."""
        self._latest = snapshot
        self._lengths.append(snapshot.waiting)

    def render(self) -> RenderableType:
        """The whole view."""
        now = self._latest
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row("provider's time", span(now.at))
        table.add_row("created", Group(f"{now.created:,} of {now.planned:,}", self._bar()))
        table.add_row("waiting", f"{now.waiting:,}  {sparkline(tuple(self._lengths))}")
        table.add_row("oldest", span(now.oldest))
        table.add_row("attempts", f"{now.attempts:,}  {_answers(now)}")
        table.add_row("waits behind", Text(_blocker(now) or "nothing", style="bold red" if _blocker(now) else "green"))
        return Panel(table, title=self._title, title_align="left", padding=(0, 1))

    def _bar(self) -> ProgressBar:
        return ProgressBar(total=max(1, self._latest.planned), completed=self._latest.created, width=_CURVE)


def sparkline(values: tuple[int, ...]) -> str:
    """A character each, the highest the tallest; a few callbacks are no tower."""
    top = max(len(_BARS) - 1, *values, 0)
    return "".join(_BARS[round((len(_BARS) - 1) * value / top)] for value in values)


def _answers(snapshot: Snapshot) -> str:
    said = sorted(snapshot.answers.items())
    return ", ".join(f"{answer} ×{count:,}" for answer, count in said) or "no answers yet"  # noqa: RUF001 - a sign of times


def _blocker(snapshot: Snapshot) -> str:
    """Empty while nothing has failed."""
    found = snapshot.blocker
    if found is None or not found.answered:
        return ""
    whose = f"application {found.application}" if found.application else f"account {found.account or '(none)'}"
    after = f"attempt {found.attempts} got {found.answered}"
    following = f", the next in {span(found.next_in)}" if found.next_in else ""
    behind = f"; {found.behind:,} wait for it" if found.behind else ""
    return f"{whose}: {after}{following}{behind}"
