"""``ackfirst policy``: print the verdict table, as a table or as JSON."""

import json
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table

from ackfirst.shared.policy import TABLE, Policy, Row, Ruling, Verdict

_LEGEND: Final = """
queued       handlers get it
counted      shown in the metrics, nothing is kept
quarantined  kept in Redis until it is checked again, no handler gets it

Only 200 satisfies Nexmo everywhere. A 429 or 503 makes it send again for 24
hours; after a 401 or 413 it may drop the callback for good."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(*, as_json: bool) -> None:
    """Show which callback gets which answer, and what becomes of it.

    ACKFIRST_POLICY chooses between never-stall (the default) and strict.
    """
    if as_json:
        for verdict, row in TABLE.items():
            click.echo(json.dumps(_record(verdict, row)))
        return
    console = Console(highlight=False)
    console.print(_table())
    console.print(_LEGEND)


def _record(verdict: Verdict, row: Row) -> dict[str, Any]:
    rulings = {policy.value: _ruling(row.under(policy)) for policy in Policy}
    return {"verdict": verdict.value, "when": row.when, **rulings}


def _ruling(ruling: Ruling) -> dict[str, Any]:
    return {"status": ruling.status, "fate": ruling.fate.value, "retry_after": ruling.retry_after}


def _table() -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("verdict", no_wrap=True, style="bold")
    for policy in Policy:
        table.add_column(policy.value, no_wrap=True)
    table.add_column("given when", ratio=1)
    for verdict, row in TABLE.items():
        never_stall, strict = (_words(row.under(policy)) for policy in Policy)
        table.add_row(verdict.value, never_stall, "same" if strict == never_stall else strict, row.when)
    return table


def _words(ruling: Ruling) -> str:
    return f"{ruling.status} {ruling.fate.value}"
