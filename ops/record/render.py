"""Print what the record's commands show: times, masked numbers, tables that fit the terminal, JSON lines."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ackfirst.ops.terminal import printable
from ackfirst.shared import masking

#: Columns between two cells: one of the padding, one where other tables have a line.
_GAP_COLUMNS: Final = 2
#: Terminals narrower than this get times without their year.
_NARROW_COLUMNS: Final = 100
#: Width for a pipe or a file: nothing is left out or folded there.
_ENDLESS_COLUMNS: Final = 10_000
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0
_MILLISECOND: Final = 0.001


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    rank: int = 0
    """Columns of the highest rank are left out first where the terminal is too narrow; 0 always stays."""
    is_number: bool = False
    folds: bool = False
    """Whether its text may go on in the next line. Ids may not: they are there to be copied."""
    least: int = 24
    """Columns without which a text that may go on is not worth showing."""


class Times:
    """Writes Unix seconds as people read them, in UTC or in this machine's time zone."""

    def __init__(self, *, local: bool = False) -> None:
        self._zone = None if local else UTC

    def iso(self, at: float | None) -> str | None:
        """Write a time as ISO 8601 with milliseconds; None for no time."""
        return None if at is None else self._moment(at).isoformat(timespec="milliseconds")

    def second(self, at: float | None) -> str:
        """Write ``2026-03-04 09:15:30``; a dash for no time."""
        return "-" if at is None else self._moment(at).strftime("%Y-%m-%d %H:%M:%S")

    def fitting(self, at: float | None, columns: int) -> str:
        """Write a time as ``second`` does; in a narrow terminal without its year."""
        return self.second(at)[5 if columns < _NARROW_COLUMNS and at is not None else 0 :]

    def clock(self, at: float | None) -> str:
        """Write the time of day alone, ``09:15:30.120``."""
        return "-" if at is None else self._moment(at).isoformat(timespec="milliseconds")[11:23]

    def day(self, at: float) -> str:
        """Write the date, ``2026-03-04``."""
        return self._moment(at).strftime("%Y-%m-%d")

    def zone(self, at: float) -> str:
        """Name the time zone at that time: ``UTC``, ``CET``."""
        return self._moment(at).tzname() or "local time"

    def _moment(self, at: float) -> datetime:
        moment = datetime.fromtimestamp(at, UTC)
        return moment if self._zone else moment.astimezone()


def duration(seconds: float) -> str:
    """Write a duration in its largest two units: ``12 ms``, ``1.4 s``, ``3 m 20 s``, ``2 d 4 h``."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if 0 < seconds < _MILLISECOND:
        return "<1 ms"
    if seconds < 1:
        return f"{round(seconds / _MILLISECOND)} ms"
    if seconds < _MINUTE:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    for unit, letter, smaller, next_letter in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "m")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {letter} {int(seconds % unit // smaller)} {next_letter}"
    return f"{int(seconds // _MINUTE)} m {int(seconds % _MINUTE)} s"


def party(value: str | None, *, personal: bool) -> str | None:
    """Show a sender or a recipient, masked unless ``personal``. What was redacted is no number any more."""
    if value is None:
        return None
    shown = printable(value)
    return shown if personal or shown.startswith("redacted") else masking.number(shown)


def say_json(row: Any) -> None:
    """Print one JSON object on a line of its own, at once: a reader of a pipe must not wait for a full buffer."""
    click.echo(json.dumps(row, ensure_ascii=False))
    sys.stdout.flush()


def console(*, err: bool = False) -> Console:
    """Make a console that is as wide as the terminal, or endless where the output goes into a pipe or a file."""
    made = Console(highlight=False, markup=False, emoji=False, stderr=err)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _ENDLESS_COLUMNS
    return made


def show_table(out: Console, columns: Sequence[Column], rows: Iterable[Sequence[Any]], *, header: bool = True) -> None:
    """Print rows; None is shown as a dash.

    The columns of the highest rank are left out until the rest fits the terminal. What must stay is never cut: then
    the lines are longer than the terminal is wide.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    kept, width = _that_fit(columns, cells, out.width)
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    shown.show_header = header
    for index in kept:
        column = columns[index]
        shown.add_column(
            column.name,
            justify="right" if column.is_number else "left",
            no_wrap=not column.folds,
            overflow="fold" if column.folds else "crop",
        )
    for row in cells:
        shown.add_row(*(Text(row[index]) for index in kept))
    terminal = out.width
    out.width = max(width, terminal)  # else rich cuts what does not fit
    out.print(shown)
    out.width = terminal


def _that_fit(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int) -> tuple[list[int], int]:
    """Return the columns that are shown, and how wide they are together."""
    widths = [
        max([len(column.name), *(_width(row[index], column) for row in cells)]) for index, column in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    while True:
        needed = sum(widths[index] + _GAP_COLUMNS for index in kept)
        last = max(kept, key=lambda index: (columns[index].rank, index))
        if needed - _GAP_COLUMNS <= width or not columns[last].rank:
            return kept, needed
        kept.remove(last)


def _width(text: str, column: Column) -> int:
    return min(len(text), column.least) if column.folds else len(text)


def _cell(value: Any) -> str:
    return "-" if value is None or value == "" else printable(str(value))
