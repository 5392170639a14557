"""``ackfirst spool``: list the events that wait on this machine's disk, by ingest process."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from ackfirst.ops.terminal import as_json
from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.settings import load_settings
from ackfirst.shared.spool.file import Depth, is_damage, look
from ackfirst.shared.spool.folder import Slot, damaged_files, slots, spool_folder


@dataclass(frozen=True, slots=True)
class _Row:
    file: str
    holder: str | None
    depth: Depth
    reasons: list[tuple[int, str]]
    damaged: str | None = None


@click.command()
@as_json
def command(*, as_json: bool) -> None:
    """Show the events that were answered 200 and wait on disk for Redis.

    One line per file; each ingest process has its own. Exit code 1 if a record is set aside or a file is damaged.
    """
    folder = spool_folder(load_settings(os.environ).data_dir)
    try:
        rows = [_row(slot) for slot in slots(folder)]
        kept = [path.name for path in damaged_files(folder)]
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(f"cannot read the spool in {folder}: {error}, check ACKFIRST_DATA_DIR") from error
    now = time.time()
    if as_json:
        for record in [*(_record(row, now) for row in rows), *({"file": name, "kept": True} for name in kept)]:
            click.echo(json.dumps(record))
    else:
        _show(rows, kept, now)
    raise SystemExit(int(bool(kept) or any(row.damaged or row.reasons for row in rows)))


def _row(slot: Slot) -> _Row:
    try:
        depth, reasons = look(slot.path)
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return _Row(slot.path.name, slot.holder(), Depth(), [], str(error))
        if "no such table" in str(error):  # its process is just making it
            return _Row(slot.path.name, slot.holder(), Depth(), [])
        raise
    return _Row(slot.path.name, slot.holder(), depth, reasons)


def _record(row: _Row, now: float) -> dict[str, Any]:
    return {
        "file": row.file,
        "holder": row.holder,
        "records": row.depth.records,
        "bytes": row.depth.bytes,
        "oldest_seconds": _age(row.depth, now),
        "set_aside": [{"record": number, "reason": reason} for number, reason in row.reasons],
        "damaged": row.damaged,
    }


def _age(depth: Depth, now: float) -> float:
    return 0.0 if depth.oldest is None else round(max(0.0, now - depth.oldest), 1)


def _show(rows: list[_Row], kept: list[str], now: float) -> None:
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("file", "held by", "waiting", "bytes", "oldest", "set aside"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        numbers = (row.depth.records, row.depth.bytes, f"{_age(row.depth, now):g} s", row.depth.set_aside)
        table.add_row(row.file, row.holder or "no process", *map(str, numbers))
    console.print(table if rows else "No process has used the spool.")
    for line in _findings(rows, kept):
        console.print(line, markup=False)


def _findings(rows: list[_Row], kept: list[str]) -> Iterator[str]:
    for row in rows:
        if row.damaged:
            yield f"{row.file} is damaged ({row.damaged}): the next ingest process repairs it"
        for number, reason in row.reasons:
            yield f"{row.file} record {number} is set aside, and tried again at the next start: {reason}"
    for name in kept:
        yield f"{name} was damaged; its whole records were saved, the file is kept for a look: delete it when done"
