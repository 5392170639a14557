"""The receipt, for a terminal and for the page."""

from collections.abc import Sequence
from typing import Final

from tests.chaos.ledger import Ledger

HEAD: Final = (
    "fault", "load", "sent", "acked", "refused", "processed", "again", "dead", "quarantined", "missing",
    "recorded", "p50 ms", "p99 ms", "max ms", "recovered s", "rescued s", "holds",
)  # fmt: skip


def cells(row: Ledger) -> tuple[str, ...]:
    """One line."""
    refused = ", ".join(f"{status}: {count}" for status, count in row.refused.items()) or "-"
    numbers = (row.processed, row.again, row.dead, row.quarantined, len(row.missing))
    times = (row.p50, row.p99, row.max)
    return (
        *(row.fault, row.load, f"{row.sent}", f"{row.acked}", refused),
        *map(str, numbers),
        "-" if row.recorded is None else f"{row.recorded}",
        *(f"{time:.1f}" for time in times),
        f"{row.recovery:.1f}",
        "-" if row.rescue is None else f"{row.rescue:.1f}",
        "yes" if row.holds else "NO",
    )


def markdown(rows: Sequence[Ledger]) -> str:
    """The table."""
    lines = ["| " + " | ".join(HEAD) + " |", "| --- | --- |" + " ---: |" * (len(HEAD) - 3) + " --- |"]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines)


def plain(row: Ledger) -> str:
    """One row while the matrix runs."""
    said = dict(zip(HEAD, cells(row), strict=True))
    head = f"{'ok  ' if row.holds else 'FAIL'} {row.fault:<26} {row.load:<7}"
    rest = "  ".join(f"{name} {said[name]}" for name in HEAD[2:-1])
    return "\n".join([f"{head} {rest}", *(f"       {problem}" for problem in row.problems)])
