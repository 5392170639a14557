"""The embedded server's log file."""

import re
from pathlib import Path
from typing import BinaryIO, Final

#: Bytes above which the file makes room for a new one at the next start.
LIMIT: Final = 1_048_576

#: What a server puts before its message: process, role, time, level (``12:M 04 Mar 2026 09:15:27.001 * ``).
_PREFIX: Final = re.compile(r"^\d+:[A-Z] \d+ \w+ \d+ [\d:.]+ [.*#-] ")


class Output:
    """What a server prints, in a file that is appended to; one older file is kept beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> BinaryIO:
        """The file, ready to be a process's standard output."""
        if self.path.exists() and self.path.stat().st_size > LIMIT:
            self.path.replace(self.path.with_suffix(".log.1"))
        return self.path.open("ab")

    def last_line(self) -> str:
        """The newest message, without its time; a sentence that says so when there is none."""
        lines = self.path.read_text(errors="replace").split("\n") if self.path.exists() else []
        return next((_PREFIX.sub("", line).strip() for line in reversed(lines) if line.strip()), "it printed nothing")
