"""The tables of a run, for a terminal and for ``docs/performance.md``."""

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from os import cpu_count
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.rows import Row

_COLUMNS: Final = ("median", "min", "max", "limit", "holds")

#: Section -> its heading and what it means.
_TITLES: Final = {
    "ingest": (
        "Ingest, one process",
        """64 connections, each with one callback of 700 bytes under way. *bare* is an aiohttp handler on uvloop
that reads the body and returns 200; all others verify the token and queue the event in a Redis that
syncs at once. *textbook* is aiohttp, `jwt.decode` and `Queue.enqueue` in a thread pool.""",
    ),
    "stages": (
        "Where ingest's time goes",
        """Each step by itself, over and over, with everything in the processor's caches. Between two callbacks of a
live server run thousands of other instructions: there the same steps take about twice as long. The rest
is aiohttp (the bare handler above), asyncio's futures and tasks, and one command to Redis for all
callbacks of a turn of the event loop.""",
    ),
    "latency": (
        "Time to the 200",
        """An open loop: a callback is sent when its time has come, whatever became of the one before; a stall shows
as latency of all that wait.""",
    ),
    "worker": ("Worker engine", "One process, a handler that does nothing, the same jobs."),
    "tasks": (
        "One command to Redis in each task",
        """One process each. Redis syncs each write at once, also those of the handlers: a plain handler waits for
one at a time.""",
    ),
    "reach": (
        "From callback to handler",
        """Ingest and one engine together: from the moment at which ingest had read the callback to the first line
of the handler.""",
    ),
    "memory": (
        "Redis memory of a waiting event",
        """700 bytes of body; what remembers its id is not in it. Each field by taking it out of all hashes: its
share of the allocation, which Redis rounds.""",
    ),
}

_PAGE: Final = """# Performance

Written by `make bench` (`python -m bench --page docs/performance.md`); no figure here was typed. Every pair is
measured in turns within one run, on loopback, with an append-only file that is synced at once (`appendfsync
always`). The machine is shared and noisy: absolute numbers move from run to run by a factor of two, ratios much
less. The limits are those of the design; *no* means that we have not reached one yet.

{sections}
{rounds} rounds of {count:,}. {machine}
"""


def show(measured: Mapping[str, Sequence[Row]]) -> None:
    """Print the tables."""
    for name, rows in measured.items():
        table = Table(title=_TITLES[name][0], title_justify="left")
        table.add_column("what")
        for column in _COLUMNS:
            table.add_column(column, justify="right")
        for row in rows:
            table.add_row(*map(_cell, row.values()))
        Console().print(table)


def page(measured: Mapping[str, Sequence[Row]], *, rounds: int, count: int) -> str:
    """The whole page, as Markdown."""
    sections = [_section(name, rows) for name, rows in measured.items() if rows]
    return _PAGE.format(sections="\n".join(sections), rounds=rounds, count=count, machine=_machine())


def _section(name: str, rows: Sequence[Row]) -> str:
    title, meaning = _TITLES[name]
    lines = ["| what | median | min | max | limit | holds |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    lines += [f"| {' | '.join(map(_cell, row.values()))} |" for row in rows]
    return f"## {title}\n\n{meaning}\n\n" + "\n".join(lines) + "\n"


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:,.0f}" if value >= 100 else f"{value:g}"


def _machine() -> str:
    parts = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "redis", "rq", "PyJWT"))
    today = datetime.now(UTC).date().isoformat()
    return f"Python {platform.python_version()}, {cpu_count()} cores, {parts}; {today}."
