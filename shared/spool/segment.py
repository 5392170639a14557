"""Read segment files: the spool's records on disk, in the order in which they were written."""

import os
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Self

from ackfirst.shared.errors import EnvelopeError
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.spool.folder import file_names
from ackfirst.shared.spool.frame import Frame, Record, first_record

_ENDING: Final = ".segment"
_DAMAGED: Final = "damaged-{}"

#: Bytes that one read takes from a segment.
_READ_BYTES: Final = 1 << 20
_SCAN_RECORDS: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """The amount that waits in a folder."""

    records: int = 0
    """Events that wait for Redis."""
    set_aside: int = 0
    """Records that cannot be queued now, and damaged pieces that are kept."""
    bytes: int = 0
    """Size of all segments."""
    oldest: float | None = None
    """Unix seconds at which the event was spooled that waits longest; None when none waits."""


@dataclass(slots=True, eq=False)
class Segment:
    """One open segment, and how far it has been read."""

    path: Path
    salt: int
    fd: int
    size: int
    """Bytes that are synced, or were found when it was opened."""
    waiting: int | None
    """Records from ``read_at`` on; None while they are not counted."""
    read_at: int = 0
    """Everything before it is confirmed by Redis, or in ``left``."""
    oldest: float | None = None
    """Unix seconds of the first record from ``read_at`` on, if known."""
    left: dict[int, int] = field(default_factory=dict)
    """Place and size of records that were passed over; they keep the segment from being deleted."""
    broken: bool = False
    """Whether the disk could not read it: it is kept, and tried again at the next start."""
    refused: set[int] = field(default_factory=set)
    """Which of these Redis refused, so that another attempt is worthwhile."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a segment that was found."""
        fd = os.open(path, os.O_RDONLY)
        return cls(path, number_and_salt(path)[1], fd, os.fstat(fd).st_size, None)

    def close(self) -> None:
        """Close the file. A number that was closed may soon be another file's, so it is forgotten."""
        os.close(self.fd)
        self.fd = -1

    def read(self, at: int, limit: int, end: int | None = None) -> list[Record]:
        """Read up to ``limit`` records from byte ``at`` on, none that begins at byte ``end`` or later.

        Raises:
            OSError: The disk cannot be read.
        """
        end = self.size if end is None else end
        records: list[Record] = []
        base, data = at, os.pread(self.fd, min(_READ_BYTES, end - at), at)
        while at < end and len(records) < limit:
            record = first_record(data, at - base, self.salt)
            if record is None and base + len(data) < end:
                if records:
                    break  # the next call starts its reading here
                # A record, or a damaged piece, is larger than one read.
                data = os.pread(self.fd, end - at, base := at)
                end = min(end, base + len(data))  # something may have cut the file
                continue
            size, frame = (end - at, None) if record is None else (record.size, record.frame)
            records.append(Record(at, size, frame))
            at += size
        return records

    def scan(self) -> Iterator[Record]:
        """Read everything from ``read_at`` on."""
        at = self.read_at
        while records := self.read(at, _SCAN_RECORDS):
            yield from records
            at = records[-1].at + records[-1].size

    def record(self, at: int) -> Record:
        """Read again a record that was passed over."""
        size = self.left[at]
        return next(iter(self.read(at, 1, at + size)), Record(at, size, None))


class Contents(NamedTuple):
    """The contents of a folder, read without its lock."""

    files: int
    depth: Depth
    unreadable: list[tuple[str, str]]
    """Where a record lies that no handler can have (``file:offset``), and why."""


def segment_path(folder: Path, number: int, salt: int) -> Path:
    """Name a segment. The name holds the salt, so that damage inside the file cannot make all of it unreadable."""
    return folder / f"{number:08d}-{salt:08x}{_ENDING}"


def segment_paths(folder: Path) -> list[Path]:
    """List a folder's segments, oldest first.

    Raises:
        OSError: The folder may not be read.
    """
    return [folder / name for name in file_names(folder) if name.endswith(_ENDING)]


def number_and_salt(path: Path) -> tuple[int, int]:
    """Take a segment's name apart."""
    number, _, salt = path.name.removesuffix(_ENDING).partition("-")
    return int(number), int(salt, 16)


def damaged_path(folder: Path, segment: Path, at: int) -> Path:
    """Name the file that keeps a damaged stretch."""
    return folder / _DAMAGED.format(f"{segment.name.removesuffix(_ENDING)}-{at:010d}")


def damaged_paths(folder: Path) -> list[Path]:
    """List the kept damaged stretches, oldest first."""
    return [folder / name for name in file_names(folder) if name.startswith(_DAMAGED.format(""))]


def undecodable(frame: Frame) -> str | None:
    """Say why a whole frame is no envelope for this release; None when it is one."""
    try:
        Envelope.decode(frame.text.decode())
    except (EnvelopeError, UnicodeDecodeError) as error:
        return str(error)
    return None


def look(folder: Path) -> Contents:
    """Count what a folder holds, without its lock and without changing it.

    What Redis has confirmed of a segment that is being drained still counts: only its process knows.

    Raises:
        OSError: The folder cannot be read.
    """
    records, size, oldest, files = 0, 0, None, 0
    unreadable = []
    for path in segment_paths(folder):
        with suppress(FileNotFoundError):  # drained meanwhile
            size += path.stat().st_size
            files += 1
            with closing(Segment.open(path)) as segment:
                for record in segment.scan():
                    reason = record.frame and undecodable(record.frame)
                    if record.frame is None or reason:
                        unreadable.append((f"{path.name}:{record.at}", reason or f"{record.size} damaged bytes"))
                        continue
                    records += 1
                    oldest = record.frame.spooled_at if oldest is None else min(oldest, record.frame.spooled_at)
    kept = len(damaged_paths(folder))
    return Contents(
        files, Depth(records=records, set_aside=len(unreadable) + kept, bytes=size, oldest=oldest), unreadable
    )
