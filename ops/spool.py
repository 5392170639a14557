"""``ackfirst spool``: list the events that wait on this machine's disk, by ingest process."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table

from ackfirst.ops.terminal import as_json
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.settings import load_settings
from ackfirst.shared.spool.folder import Slot, slots, spool_folder
from ackfirst.shared.spool.segment import Contents, damaged_paths, look

#: Records that are named one by one; the rest are only counted.
_NAMED: Final = 100


@dataclass(frozen=True, slots=True)
class _Row:
    folder: str
    holder: str | None
    contents: Contents
    damaged: list[str]
    has_sqlite: bool


@click.command()
@as_json
def command(*, as_json: bool) -> None:
    """Show the events that were answered 200 and wait on disk for Redis.

    One line a folder; each ingest process has its own. What Redis has confirmed of a segment that is being drained
    still counts as waiting. Exit code 1 when a record is set aside or a piece of a file is damaged.
    """
    folder = spool_folder(load_settings(os.environ).data_dir)
    try:
        rows = [_row(slot) for slot in slots(folder)]
    except OSError as error:
        raise ConfigurationError(f"cannot read the spool in {folder}: {error}, check ACKFIRST_DATA_DIR") from error
    now = time.time()
    if as_json:
        for row in rows:
            click.echo(json.dumps(_record(row, now)))
    else:
        _show(rows, now)
    raise SystemExit(int(any(row.contents.depth.set_aside for row in rows)))


def _row(slot: Slot) -> _Row:
    damaged = [path.name for path in damaged_paths(slot.folder)]
    return _Row(slot.folder.name, slot.holder(), look(slot.folder), damaged, slot.sqlite.exists())


def _record(row: _Row, now: float) -> dict[str, Any]:
    files, depth, unreadable = row.contents
    return {
        "folder": row.folder,
        "files": files,
        "holder": row.holder,
        "records": depth.records,
        "bytes": depth.bytes,
        "oldest_seconds": _age(row, now),
        "set_aside": [{"record": place, "reason": reason} for place, reason in unreadable[:_NAMED]],
        "set_aside_count": depth.set_aside,
        "damaged": row.damaged,
        "sqlite": row.has_sqlite,
    }


def _age(row: _Row, now: float) -> float:
    oldest = row.contents.depth.oldest
    return 0.0 if oldest is None else round(max(0.0, now - oldest), 1)


def _show(rows: list[_Row], now: float) -> None:
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("folder", "files", "held by", "waiting", "bytes", "oldest", "set aside"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        files, depth, _ = row.contents
        numbers = (depth.records, depth.bytes, f"{_age(row, now):g} s", depth.set_aside)
        table.add_row(row.folder, str(files), row.holder or "no process", *map(str, numbers))
    console.print(table if rows else "No process has used the spool.")
    for line in _findings(rows):
        console.print(line, markup=False, soft_wrap=True)


def _findings(rows: list[_Row]) -> Iterator[str]:
    for row in rows:
        if row.has_sqlite:
            yield f"{row.folder}.db is the spool of an older release: the next ingest process moves its events"
        for place, reason in row.contents.unreadable[:_NAMED]:
            yield f"{row.folder}/{place} is set aside, and tried again at the next start: {reason}"
        if more := len(row.contents.unreadable) - _NAMED:
            yield f"{row.folder}: {more} more are set aside" if more > 0 else ""
        if row.damaged:
            yield (
                f"{row.folder} keeps {len(row.damaged)} damaged pieces ({', '.join(row.damaged)}): what was in them is "
                "lost, everything else was queued; delete them when you have looked at them"
            )
