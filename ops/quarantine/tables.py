"""Print records and reports as tables."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ackfirst.ops.quarantine.recheck import Finding, Outcome
from ackfirst.shared.quarantine.stream import QuarantineDepth

#: Wide enough to show every id in full: a record is asked for by its whole id.
WIDTH_COLUMNS: Final = 200

#: Nexmo's account keys have 8 characters, what an unverified callback claims may have any number.
_ACCOUNT_CHARACTERS: Final = 24

_DAY, _HOUR, _MINUTE = 86400, 3600, 60


def show_list(rows: Iterable[dict[str, Any]], depth: QuarantineDepth, console: Console) -> None:
    """Print one line per record, newest last, and how much there is."""
    shown = list(rows)
    if shown:
        table = _table("id", "age", "account", "verdict", "reason", "family", "bytes")
        for row in shown:
            claimed = (row.get("account") or "")[:_ACCOUNT_CHARACTERS]
            names = (row["id"], age(row["age_seconds"]), claimed, row["verdict"], row["reason"])
            table.add_row(*(Text(str(cell or "-")) for cell in (*names, row.get("family"), row.get("bytes"))))
        console.print(table)
    console.print(f"{len(shown):,} shown of {depth.records:,} in quarantine, {depth.bytes:,} bytes", highlight=False)


def show_record(record: dict[str, Any], console: Console) -> None:
    """Print one value per line, nested ones as JSON."""
    width = max(map(len, record))
    for name, value in record.items():
        console.print(Text(f"{name:<{width}}  {_value(value)}"), soft_wrap=True)


def show_report(findings: Counter[tuple[Outcome, str | None]], console: Console, *, dry_run: bool) -> None:
    """Print the number of records by outcome; of the doubtful ones also by reason."""
    table = _table("outcome", "records", "")
    table.columns[1].justify = "right"
    for outcome, count, remark in _lines(findings, dry_run=dry_run):
        table.add_row(outcome, f"{count:,}", Text(remark))
    console.print(table)


def tally(found: Finding) -> tuple[Outcome, str | None]:
    """Return the outcome under which a finding is counted, with the reason if it is doubtful."""
    return found.outcome, f"{found.verdict}: {found.reason}" if found.outcome is Outcome.DOUBTFUL else None


def age(seconds: float) -> str:
    """Format a duration in its largest two units: ``3 h 20 m``."""
    for unit, letter, smaller, next_letter in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "m")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {letter} {int(seconds % unit // smaller)} {next_letter}"
    return f"{int(seconds // _MINUTE)} m {int(seconds % _MINUTE)} s" if seconds >= _MINUTE else f"{int(seconds)} s"


def _lines(findings: Counter[tuple[Outcome, str | None]], *, dry_run: bool) -> Iterator[tuple[str, int, str]]:
    queued = "would be queued, nothing was written" if dry_run else "verified now; waits for a worker"
    yield Outcome.QUEUED.value, findings[Outcome.QUEUED, None], queued
    yield Outcome.DUPLICATE.value, findings[Outcome.DUPLICATE, None], "verified now; was queued before"
    for (outcome, reason), count in sorted(findings.items(), key=str):
        if outcome is Outcome.DOUBTFUL:
            yield outcome.value, count, f"{reason}; stays"
    if unknown := findings[Outcome.UNKNOWN, None]:
        yield Outcome.UNKNOWN.value, unknown, "written by another release; stays"


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column != "")
    return table
