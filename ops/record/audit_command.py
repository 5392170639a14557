"""``ackfirst audit``: list what people did to the installation."""

import json
from typing import Any, Final

import click

from ackfirst.ops.record.options import local as local_option
from ackfirst.ops.record.render import Column, Times, console, say_json, show_table
from ackfirst.ops.record.sources import recorded
from ackfirst.ops.terminal import MOMENT
from ackfirst.ops.terminal import as_json as json_option
from ackfirst.shared.store import AuditRow

_COLUMNS: Final = (
    Column("at"),
    Column("who"),
    Column("act"),
    Column("subject", folds=True),
    Column("detail", rank=1, folds=True),
)


@click.command()
@click.option("--since", type=MOMENT, help="Done since then: 2h, 7d, 2026-03-04T09:15Z.")
@click.option("--act", metavar="ACT", help="Only acts of this name: lane-paused, replay-stopped, dead-dropped, …")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Most acts listed.")
@local_option
@json_option
def command(*, since: float | None, act: str | None, limit: int, local: bool, as_json: bool) -> None:
    """List acts, newest first: who changed something, or looked at a person's data on the page.

    Replays, drops, purges, redactions, pauses, rechecks, what was changed at Nexmo. No row holds personal data.
    """
    times = Times(local=local)
    with recorded() as (_, store):
        rows = store.audit_rows(since or 0.0, limit, act=act)
    if as_json:
        for row in rows:
            say_json(_object(row, times))
    elif rows:
        cells = [(times.second(row.at), row.who, row.act, row.subject, row.detail or None) for row in rows]
        show_table(console(), _COLUMNS, cells)
    else:
        click.echo("No such act is in the record.")


def _object(row: AuditRow, times: Times) -> dict[str, Any]:
    return {"at": times.iso(row.at), "who": row.who, "act": row.act, "subject": _subject(row), "detail": row.detail}


def _subject(row: AuditRow) -> Any:
    """Return what was chosen by conditions as an object, as it was written."""
    try:
        found = json.loads(row.subject)
    except ValueError:  # a name, or conditions that were cut at their longest
        return row.subject
    return found if isinstance(found, dict | list) else row.subject
