"""The table of a run, for a terminal and for ``docs/performance.md``."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from os import cpu_count

from rich.console import Console
from rich.table import Table

Row = dict[str, str | float]

_COLUMNS = ("what", "median", "min", "max", "goal")

_PAGE = """# First measurements

A starting line, not a limit yet. Written by `python -m bench --page docs/performance.md`; no figure here was typed.

Every pair is measured in turns within one run, on loopback, with an append-only file that is synced at once
(`appendfsync always`). The machine is shared and noisy: absolute numbers move from run to run by a factor of two,
ratios much less. *bare* is an aiohttp handler on uvloop that reads the body and returns 200. *textbook* is aiohttp,
`jwt.decode` and `Queue.enqueue` in a thread pool. The goals are those of the design.

{rows}

{rounds} rounds of {count:,} callbacks of 700 bytes, one ingest process, 64 connections; the latency rows are an open
loop, in which a stall shows as latency of all that wait. {machine}
"""


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(title="ackfirst, measured on this machine in one run")
    table.add_column("what")
    for name in _COLUMNS[1:]:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    Console().print(table)


def page(rows: Sequence[Row], *, rounds: int, count: int) -> str:
    """The whole page, as Markdown."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "| --- | ---: | ---: | ---: | ---: |"]
    lines += [f"| {' | '.join(map(_cell, row.values()))} |" for row in rows]
    return _PAGE.format(rows="\n".join(lines), rounds=rounds, count=count, machine=_machine())


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:,.0f}" if value >= 100 else f"{value:g}"


def _machine() -> str:
    parts = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "redis", "rq", "PyJWT"))
    today = datetime.now(UTC).date().isoformat()
    return f"Python {platform.python_version()}, {cpu_count()} cores, {parts}; {today}."
