"""Report damaged pieces of segments, and keep a bounded number of them for a look."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from ackfirst.ingest.request_log import Log
from ackfirst.shared.spool.frame import Record
from ackfirst.shared.spool.segment import Segment, damaged_path, damaged_paths

#: So many pieces are kept of a slot, and so much of each; the oldest are deleted first.
DAMAGED_FILES: Final = 16
DAMAGED_BYTES: Final = 64 << 10


class Damage:
    """The damaged pieces of one slot."""

    def __init__(self, folder: Path, log: Log) -> None:
        self._folder = folder
        self._log = log
        self.count = 0
        """Pieces that are kept."""
        self.recount()

    def recount(self) -> None:
        """Count again: an operator deletes them after a look."""
        self.count = len(damaged_paths(self._folder))

    def keep(self, segment: Segment, pieces: Sequence[Record]) -> None:
        """Copy pieces to files of their own, and report them in one line."""
        if not pieces:
            return
        for piece in pieces[-DAMAGED_FILES:]:
            with suppress(OSError):  # on a full disk the line in the log is all that remains
                data = os.pread(segment.fd, min(piece.size, DAMAGED_BYTES), piece.at)
                path = damaged_path(self._folder, segment.path, piece.at)
                path.touch(mode=0o600)
                path.write_bytes(data)
        for path in damaged_paths(self._folder)[:-DAMAGED_FILES]:
            with suppress(OSError):
                path.unlink()
        self.recount()
        self.report(segment, sum(piece.size for piece in pieces), places=len(pieces), reason="checksums do not match")

    def report(self, segment: Segment, size: int, *, reason: str, places: int = 1) -> None:
        """Log how many bytes of a segment are not usable."""
        self._log.error(
            "spool.damaged",
            file=str(segment.path),
            reason=reason,
            places=places,
            bytes=size,
            consequence="acknowledged events in these bytes are lost, all others are queued",
            check="ackfirst spool, and the disk",
        )
