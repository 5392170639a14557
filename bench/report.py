"""Print the tables of a run, or write them to ``docs/performance.md`` with charts beside the page."""

import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from os import cpu_count
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from ackfirst.simulator.chart import draw
from bench import growth
from bench.rows import Row, number
from bench.sections import SECTIONS

_COLUMNS: Final = ("median", "min", "max", "rounds", "limit", "holds")

_HEAD: Final = """# Performance

Written by `make bench` (`python -m bench --page docs/performance.md`), not by hand. Every pair is
measured in turns within one run, on loopback, with an append-only file that is synced at once (`appendfsync
always`). Absolute numbers move from run to run with whatever else the machine does, ratios much less. The limits are
those of the design; *no* means that one is not reached yet.
"""


def show(measured: Mapping[str, Sequence[Row]]) -> None:
    """Print the tables and the limits that do not hold."""
    console = Console()
    for name, rows in _filled(measured):
        table = Table(title=SECTIONS[name].title, title_justify="left")
        table.add_column("what")
        for column in _COLUMNS:
            table.add_column(column, justify="right")
        for row in rows:
            table.add_row(*map(_cell, row.values()))
        console.print(table)
    console.print(summary(measured), highlight=False)


def summary(measured: Mapping[str, Sequence[Row]]) -> str:
    """Return how many limits hold, and which do not, in one line."""
    held = [row for rows in measured.values() for row in rows if row["limit"]]
    missed = [str(row["what"]) for row in held if row["holds"] != "yes"]
    return f"{len(held) - len(missed)} of {len(held)} limits hold" + (f"; not: {'; '.join(missed)}" if missed else "")


def write(page: Path, measured: Mapping[str, Sequence[Row]], *, count: int) -> None:
    """Write page and charts; a section that was not measured in this run stays as it is on the page."""
    page.parent.mkdir(parents=True, exist_ok=True)
    sections = _sections(page.read_text()) if page.exists() else {}
    for name, rows in _filled(measured):
        chart = growth.chart(name, rows)
        picture = ""
        if chart:
            file = page.with_suffix("") / f"{name}.svg"
            file.parent.mkdir(exist_ok=True)
            file.write_text(draw(chart))
            picture = f"\n![{chart.title}]({file.parent.name}/{file.name})\n"
        sections[SECTIONS[name].title] = section(name, rows, count=count) + picture
    text = "\n".join(sections[title] for title in (one.title for one in SECTIONS.values()) if title in sections)
    held, missed = (text.count(f" | {word} |\n") for word in ("yes", "no"))
    page.write_text(f"{_HEAD}\n**{held} of {held + missed} limits hold.**\n\n{text}")


def _filled(measured: Mapping[str, Sequence[Row]]) -> list[tuple[str, Sequence[Row]]]:
    """Leave out sections that could not be measured on this machine."""
    return [(name, rows) for name, rows in measured.items() if rows]


def _sections(page: str) -> dict[str, str]:
    """Split a page: heading → section, with its heading."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].removeprefix("## "): part.rstrip("\n") + "\n" for part in parts}


def section(name: str, rows: Sequence[Row], *, count: int) -> str:
    """Return a section as Markdown, with the date and the versions with which it was measured."""
    lines = [f"| what | {' | '.join(_COLUMNS)} |", "| --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    lines += [f"| {' | '.join(map(_cell, row.values()))} |" for row in rows]
    return (
        f"## {SECTIONS[name].title}\n\n{SECTIONS[name].text}\n\n"
        + "\n".join(lines)
        + f"\n\n{_machine()}; `--count {count}`.\n"
    )


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else number(value)


def _machine() -> str:
    parts = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "redis", "rq", "PyJWT"))
    today = datetime.now(UTC).date().isoformat()
    return f"{today}, {cpu_count()} cores, Python {platform.python_version()}, {parts}"
