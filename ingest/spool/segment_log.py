"""Keep acknowledged events in segment files: append and sync, read oldest first, delete a segment when it is done.

All calls block, and an object belongs to one thread. Errors are ``OSError``. The drain never needs to write: on a disk
that stays full, segments are read, confirmed and deleted.
"""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from ackfirst.ingest.request_log import Log
from ackfirst.ingest.spool.damage import Damage
from ackfirst.shared.private_folder import sync_folder
from ackfirst.shared.spool.folder import Slot
from ackfirst.shared.spool.frame import Frame, Record
from ackfirst.shared.spool.segment import Depth, Segment, number_and_salt, segment_path, segment_paths

#: A segment of this size is closed and a new one begun. All are kept open, so there are at most SEGMENTS of them.
SEGMENT_BYTES: Final = 4 << 20
SEGMENTS: Final = 128


class MovedError(OSError):
    """The file that was written is no longer where its name says: what is in it would be lost with this process."""


class Page(NamedTuple):
    """Records of one segment that are to be queued."""

    segment: Segment
    records: Sequence[Record]


class SegmentLog:
    """The segments of one slot, which this process holds.

    Args:
        slot: Names the folder; held.
        max_bytes: How large all segments together may grow; decides how large one may.
        log: Reports damage.

    Raises:
        OSError: The folder cannot be read.
    """

    def __init__(self, slot: Slot, *, max_bytes: int, log: Log) -> None:
        self.slot = slot
        self._segment_bytes = max(SEGMENT_BYTES, max_bytes // SEGMENTS)
        self._segments = [Segment.open(path) for path in segment_paths(slot.folder)]
        self._number = max((number_and_salt(one.path)[0] for one in self._segments), default=0)
        # Never one from before: how much of its end had been synced is not known.
        self._active: Segment | None = None
        self._damage = Damage(slot.folder, log)
        self.was_probed = False
        """Whether :meth:`probe` has succeeded."""
        for unfinished in slot.folder.glob("*.new"):  # a kill in the middle of _compact
            with suppress(OSError):  # a read-only disk can still be drained
                unfinished.unlink()

    # Writing
    def append(self, frames: Sequence[Frame]) -> None:
        """Write all of them; they are on the disk, in a file that can be found again, when this returns.

        A segment whose write or sync failed is never written to again: after a failed fsync the kernel may drop the
        pages and report the next fsync as good. Hence one more attempt, in a new segment.

        Raises:
            MovedError: Folder or file are not where they were.
            OSError: They may not be on the disk.
        """
        try:
            self._append(frames)
        except MovedError:
            raise
        except OSError:
            self._append(frames)

    def _append(self, frames: Sequence[Frame]) -> None:
        segment = self._active or self._begin_segment()
        data = b"".join([frame.pack(segment.salt) for frame in frames])
        try:
            _write_all(segment.fd, data)
            os.fsync(segment.fd)
            self._check_place(segment, size=segment.size + len(data))
        except BaseException:
            self._retire(segment)
            raise
        if not segment.waiting:
            segment.oldest = frames[0].spooled_at
        segment.size += len(data)
        segment.waiting = (segment.waiting or 0) + len(frames)
        if segment.size >= self._segment_bytes:
            self._active = None

    def _begin_segment(self) -> Segment:
        salt = secrets.randbits(32)
        path = segment_path(self.slot.folder, self._number + 1, salt)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileNotFoundError as error:
            raise MovedError(f"{self.slot.folder} is gone") from error
        self._number += 1
        self._active = segment = Segment(path, salt, fd, 0, 0)
        self._segments.append(segment)
        try:
            sync_folder(self.slot.folder)
        except OSError:
            self._retire(segment)
            raise
        return segment

    def _check_place(self, segment: Segment, *, size: int | None = None) -> None:
        """Compare what a path leads to with what was written, before anybody is answered."""
        try:
            found = segment.path.stat()
        except FileNotFoundError as error:
            raise MovedError(f"{segment.path} is gone") from error
        if not self.slot.is_in_place() or not os.path.samestat(found, os.fstat(segment.fd)):
            raise MovedError(f"{segment.path} is another file")
        if size is not None and found.st_size != size:
            raise OSError(f"{segment.path} has {found.st_size} bytes: another process has cut it or written to it")

    def _retire(self, segment: Segment) -> None:
        """Never write to it again, and take away what was not synced as far as the disk lets us."""
        self._active = None
        with suppress(OSError):
            os.ftruncate(segment.fd, segment.size)
        if not segment.size:
            self._delete(segment)

    def probe(self, size: int) -> None:
        """Write and sync so many bytes, and delete them.

        Raises:
            OSError: The disk is full, read-only or broken.
        """
        path = self.slot.folder / "probe.new"  # deleted at the next start if this process is killed here
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                _write_all(fd, bytes(size))
                os.fsync(fd)
            finally:
                os.close(fd)
        finally:
            path.unlink(missing_ok=True)
        self.was_probed = True

    # Reading
    def count_next(self) -> bool:
        """Count the records of one segment that was found at the start; False when all are counted."""
        for segment in self._segments:
            if segment.waiting is None:
                frames = [record.frame for record in segment.scan() if record.frame]
                segment.oldest, segment.waiting = frames[0].spooled_at if frames else None, len(frames)
                return True
        return False

    def _shorten(self, segment: Segment, found: int) -> None:
        """Take note that something has cut a file that was longer."""
        if segment is self._active:
            self._active = None
        rest = max(found, segment.read_at)
        self._damage.report(segment, segment.size - rest, reason="the end of the file is missing")
        segment.size, segment.waiting = rest, None
        self.count_next()

    def page(self, limit: int) -> Page | None:
        """Read the oldest records of the oldest segment; None when all were read. :meth:`settle` moves on."""
        while True:
            segment = next((one for one in self._segments if one.read_at < one.size and not one.broken), None)
            if segment is None:
                return None
            if (found := os.fstat(segment.fd).st_size) < segment.size:
                self._shorten(segment, found)
                continue
            try:
                records = segment.read(segment.read_at, limit)
            except OSError as error:
                segment.broken = True  # the file stays: its disk may recover, and only it has these events
                self._damage.report(segment, segment.size - segment.read_at, reason=str(error))
                continue
            segment.oldest = next((one.frame.spooled_at for one in records if one.frame), segment.oldest)
            return Page(segment, records)

    def refused_page(self, limit: int) -> Page | None:
        """Collect records that Redis refused before; None when there are none."""
        for segment in self._segments:
            if segment.refused:
                return Page(segment, [segment.record(at) for at in sorted(segment.refused)[:limit]])
        return None

    def settle(self, page: Page, count: int, *, unreadable: Sequence[Record], refused: Sequence[Record]) -> None:
        """Move on behind the first ``count`` records of a page; ``unreadable`` and ``refused`` ones must stay."""
        segment, records = page.segment, page.records[:count]
        for record in records:
            if record.at < segment.read_at:  # a second attempt
                segment.left.pop(record.at, None)
                segment.refused.discard(record.at)
            elif record.frame is not None and segment.waiting:
                segment.waiting -= 1
        if records:
            segment.read_at = max(segment.read_at, records[-1].at + records[-1].size)
        segment.left |= {record.at: record.size for record in (*unreadable, *refused)}
        segment.refused |= {record.at for record in refused}
        self._damage.keep(segment, [record for record in records if record.frame is None])

    def tidy(self, *, idle: bool) -> None:
        """Delete segments that are done with; make small what keeps only a few records.

        Args:
            idle: Whether the segment that is being written may go too. While events come it would only be made again.

        Raises:
            OSError: A segment cannot be deleted. It is tried again at the next call; nothing in it is read again.
        """
        self._damage.recount()
        for segment in list(self._segments):
            if segment.read_at < segment.size or (segment is self._active and not idle):
                continue
            if segment is self._active:
                self._active = None
            if not segment.left:
                segment.path.unlink(missing_ok=True)  # missing: the folder was moved away
                self._forget(segment)
            elif segment.size > sum(segment.left.values()):
                self._compact(segment)

    def _compact(self, segment: Segment) -> None:
        """Replace a segment by one that holds only the records that are left, if the disk has room for it.

        Otherwise all its records would be queued again after a restart, perhaps when Redis has forgotten their ids.
        """
        new = segment.path.with_suffix(".new")
        with suppress(OSError):
            kept = [record for record in map(segment.record, sorted(segment.left)) if record.frame]
            fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
            try:
                _write_all(fd, b"".join(record.frame.pack(segment.salt) for record in kept if record.frame))
                os.fsync(fd)
                new.rename(segment.path)
            except BaseException:
                os.close(fd)
                new.unlink(missing_ok=True)
                raise
            os.close(segment.fd)
            refused, segment.fd, segment.left, segment.refused, at = segment.refused, fd, {}, set(), 0
            for record in kept:
                segment.left[at] = record.size
                segment.refused |= {at} if record.at in refused else set()
                at += record.size
            segment.size = segment.read_at = at
            sync_folder(self.slot.folder)

    def depth(self) -> Depth:
        """Count what is there."""
        waits = [one.oldest for one in self._segments if one.waiting and one.oldest is not None]
        return Depth(
            records=sum(one.waiting or 0 for one in self._segments),
            set_aside=sum(len(one.left) + one.broken for one in self._segments) + self._damage.count,
            bytes=sum(one.size for one in self._segments),
            oldest=min(waits, default=None),
        )

    # The end, and rescue
    def check_places(self) -> None:
        """Look whether folder, lock and segments are still where their names say.

        Raises:
            MovedError: Something has moved or removed one of them.
        """
        if not self.slot.is_in_place():
            raise MovedError(f"{self.slot.folder} was moved or removed")
        for segment in self._segments:
            self._check_place(segment)

    def all_frames(self) -> Iterator[list[Frame]]:
        """Read every record that is not confirmed, through the open files: also when their names are gone."""
        for segment in (one for one in self._segments if not one.broken):
            yield [record.frame for record in map(segment.record, segment.left) if record.frame]
            yield [record.frame for record in segment.scan() if record.frame]

    def discard(self) -> None:
        """Delete every segment: what is in them is, or still is, elsewhere."""
        for segment in list(self._segments):
            self._delete(segment)

    def close(self) -> None:
        """Close all files."""
        for segment in list(self._segments):
            self._forget(segment)

    def _delete(self, segment: Segment) -> None:
        with suppress(OSError):
            segment.path.unlink()
        self._forget(segment)

    def _forget(self, segment: Segment) -> None:
        self._segments.remove(segment)
        segment.close()


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
