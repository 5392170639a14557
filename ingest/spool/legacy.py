"""Read the SQLite files of releases that spooled into SQLite, so that their events can be moved to segments."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from ackfirst.shared.spool.frame import HEADER, MAGIC, DamagedFrameError, Frame, unpack

_BATCH: Final = 1000


def sqlite_frames(path: Path) -> Iterator[list[Frame]]:
    """Read every record, oldest first.

    Where SQLite finds damage, what is left is searched for by the frames' own marks. Some of these may have been
    delivered before, which the queue recognises, and one that SQLite had split over several pages is not found.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        with closing(sqlite3.connect(path, timeout=5)) as db:
            rows = db.execute("SELECT frame FROM records ORDER BY id")
            while batch := rows.fetchmany(_BATCH):
                yield [unpack(data) for (data,) in batch]
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):  # made, and never written to
            raise OSError(f"{path}: {error}") from error
    except (sqlite3.DatabaseError, DamagedFrameError):
        data = b"".join(file.read_bytes() for file in _files(path) if file.exists())
        found = dict.fromkeys(_search(data))
        yield sorted(found, key=lambda frame: frame.spooled_at)


def remove_sqlite(path: Path) -> None:
    """Delete the file and its log, once everything in it is elsewhere."""
    for file in reversed(_files(path)):
        file.unlink(missing_ok=True)


def _files(path: Path) -> list[Path]:
    return [path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm"))]


def _search(data: bytes) -> Iterator[Frame]:
    at = data.find(MAGIC)
    while at >= 0:
        with suppress(DamagedFrameError):
            size = HEADER.size + (HEADER.unpack_from(data, at)[2] if len(data) - at >= HEADER.size else 0)
            yield unpack(data[at : at + size])
        at = data.find(MAGIC, at + 1)
