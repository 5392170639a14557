"""Keep the embedded server's log file, and read its last message."""

import re
from pathlib import Path
from typing import BinaryIO, Final

#: At a start, a larger file is renamed and a new one begun.
LIMIT_BYTES: Final = 1_048_576

#: What a server prints before its message: process, role, time, level (``12:M 04 Mar 2026 09:15:27.001 * ``).
_PREFIX: Final = re.compile(r"^\d+:[A-Z] \d+ \w+ \d+ [\d:.]+ [.*#-] ")


class Output:
    """A file that a server's output is appended to; one older file is kept beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> BinaryIO:
        """Open the file as a process's standard output."""
        if self.path.exists() and self.path.stat().st_size > LIMIT_BYTES:
            self.path.replace(self.path.with_suffix(".log.1"))
        return self.path.open("ab")

    def last_line(self) -> str:
        """Return the newest message without its time, or a sentence that says that there is none."""
        lines = self.path.read_text(errors="replace").split("\n") if self.path.exists() else []
        return next((_PREFIX.sub("", line).strip() for line in reversed(lines) if line.strip()), "it printed nothing")
