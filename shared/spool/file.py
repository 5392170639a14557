"""One file of the spool: envelopes that were acknowledged and wait for Redis, in SQLite, each commit on the disk.

All calls block, and an object belongs to one thread. Errors are SQLite's (``sqlite3.Error``) and ``OSError``.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from ackfirst.shared.spool.frame import DamagedFrame, Frame, unpack
from ackfirst.shared.spool.salvage import PAGE, is_log_broken, salvage

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY, frame BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS set_aside (record INTEGER PRIMARY KEY, reason TEXT NOT NULL);
"""
_WAITING: Final = "FROM records WHERE id > ? AND id NOT IN (SELECT record FROM set_aside) ORDER BY id LIMIT ?"
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY: Final = 0xFF  # the rest of an error code is detail

#: Of the tables, in case they must ever change.
_VERSION: Final = 1

#: Pages above which an empty file is given back to the disk.
_WORTH_SHRINKING: Final = 1024


class Record(NamedTuple):
    """One row as it was read; ``frame`` is None where its bytes are damaged."""

    id: int
    frame: Frame | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How full a file is."""

    records: int = 0
    """Events that wait for Redis."""
    set_aside: int = 0
    """Records that cannot be queued, each with its reason."""
    bytes: int = 0
    """What all of them take on the disk."""
    oldest: float | None = None
    """Unix seconds at which the event was spooled that waits longest; None when none waits."""


class Salvaged(NamedTuple):
    """What came of a damaged file."""

    records: int
    """Records that were whole."""
    kept: Path
    """Where the damaged file lies now."""


class SpoolFile:
    """An open file. Whoever opens it for writing holds its lock (``ackfirst.shared.spool.folder``)."""

    def __init__(self, path: Path) -> None:
        _create(path)
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        for pragma in (f"page_size={PAGE}", "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        self._db.executescript(_SCHEMA)
        _sync_folder(self._path.parent)
        self._records = self._number("SELECT count(*) FROM records")
        self._rejects = self._number("SELECT count(*) FROM set_aside")

    def append(self, frames: Sequence[Frame]) -> None:
        """Write all of them or none; they are on the disk when this returns."""
        with self._transaction():
            self._db.executemany("INSERT INTO records (frame) VALUES (?)", [(frame.pack(),) for frame in frames])
        self._records += len(frames)

    def oldest(self, limit: int, *, after: int = 0) -> list[Record]:
        """Waiting records with an id above ``after``, oldest first."""
        rows = self._db.execute(f"SELECT id, frame {_WAITING}", (after, limit)).fetchall()
        if not rows and not after and self._records > self._rejects:
            raise _damage(f"{self._records - self._rejects} records cannot be found")
        return [Record(number, _whole(data)) for number, data in rows]

    def remove(self, ids: Sequence[int]) -> None:
        """Forget records that are safe elsewhere."""
        with self._transaction():
            removed = self._db.executemany("DELETE FROM records WHERE id = ?", [(number,) for number in ids]).rowcount
        self._records -= removed
        if not self._records and self._number("PRAGMA page_count") > _WORTH_SHRINKING:
            self._shrink()

    def set_aside(self, number: int, reason: str) -> None:
        """Mark a record as one that cannot be queued: it stays, and is passed over."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO set_aside VALUES (?, ?)", (number, reason))
        self._rejects = self._number("SELECT count(*) FROM set_aside")

    def reconsider(self) -> None:
        """Take all marks away: what an older release could not read, this one may."""
        with self._transaction():
            self._db.execute("DELETE FROM set_aside")
        self._rejects = 0

    def reasons(self, limit: int = 100) -> list[tuple[int, str]]:
        """Ids and reasons of records that are set aside."""
        return self._db.execute("SELECT record, reason FROM set_aside ORDER BY record LIMIT ?", (limit,)).fetchall()

    def touch(self) -> None:
        """Write something: whoever returns from this can write."""
        with self._transaction():
            self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def depth(self) -> Depth:
        """How full it is."""
        return _depth(self._db, self._records, self._rejects)

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)

    def _number(self, question: str) -> int:
        return int(self._db.execute(question).fetchone()[0])

    def _shrink(self) -> None:
        with suppress(sqlite3.Error):  # the space is used again anyway
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


class _Transaction:
    """All or nothing. ``sqlite3``'s own context manager leaves a transaction open whose COMMIT failed."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def look(path: Path) -> tuple[Depth, list[tuple[int, str]]]:
    """How full a file is and what is set aside in it, without a lock and without changing it."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
        records = db.execute("SELECT count(*) FROM records").fetchone()[0]
        reasons = db.execute("SELECT record, reason FROM set_aside ORDER BY record").fetchall()
        return _depth(db, records, len(reasons)), reasons


def is_damage(error: Exception) -> bool:
    """Whether the file is damaged, as opposed to a disk that is full or a folder that cannot be written."""
    return isinstance(error, sqlite3.DatabaseError) and _code(error) in _DAMAGE


def is_full(error: Exception) -> bool:
    """Whether only space is missing: the file itself is well."""
    return isinstance(error, sqlite3.DatabaseError) and _code(error) == sqlite3.SQLITE_FULL


def check(path: Path) -> bool:
    """Whether the file is as SQLite left it. Call it while nobody has it open. A missing file is well.

    Also finishes a mending that was broken off.
    """
    new = _beside(path, ".mended")
    if new.exists():
        _put_in_place(path, new) if not path.exists() else new.unlink()
    if not path.exists() or not path.stat().st_size:
        return True
    if is_log_broken(_content(_beside(path, "-wal"))):
        return False
    try:
        with closing(sqlite3.connect(path, timeout=5)) as db:
            return db.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return False
        raise


def mend(path: Path, *, now: float) -> Salvaged:
    """Put a new file with all whole records in the place of a damaged one, which is kept beside it.

    Killed at any moment, it has either not begun or is finished by :func:`check`.
    """
    frames = salvage(_content(path), _content(_beside(path, "-wal")))
    new = _beside(path, ".mended")
    new.unlink(missing_ok=True)
    with closing(SpoolFile(new)) as file:
        file.append(frames)
    kept = path.with_suffix(f".damaged-{now:.0f}")
    for ending in ("", "-wal"):
        with suppress(FileNotFoundError, FileExistsError):
            os.link(_beside(path, ending), _beside(kept, ending))
    _sync_folder(path.parent)
    path.unlink()  # from here on the new file counts
    _put_in_place(path, new)
    return Salvaged(len(frames), kept)


def _put_in_place(path: Path, new: Path) -> None:
    for ending in ("-wal", "-shm"):
        _beside(path, ending).unlink(missing_ok=True)
    new.rename(path)
    _sync_folder(path.parent)


def _depth(db: sqlite3.Connection, records: int, aside: int) -> Depth:
    pages, free = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
    first = db.execute(f"SELECT frame {_WAITING}", (0, 1)).fetchone()
    frame = _whole(first[0]) if first else None
    held = (pages - free) * PAGE if records else 0
    return Depth(records=records - aside, set_aside=aside, bytes=held, oldest=frame.spooled_at if frame else None)


def _whole(data: bytes) -> Frame | None:
    try:
        return unpack(data)
    except DamagedFrame:
        return None


def _code(error: sqlite3.DatabaseError) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


def _damage(why: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(why)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _create(path: Path) -> None:
    """For its owner's eyes only: it holds people's messages. SQLite gives its log the same rights."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _sync_folder(folder: Path) -> None:
    """A new name is on the disk only when its folder is."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
