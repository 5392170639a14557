"""Which processes a process has started. Linux only, like the kill of one of them at a chosen moment."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def children(parent: int) -> list[int]:
    """Process ids, oldest first."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, rest = stat.read_text().split(" (", 1)
            if int(rest.rsplit(")", 1)[1].split()[1]) == parent:
                found.append(int(pid))
    return sorted(found)


def command_line(pid: int) -> list[str]:
    """Empty for a process that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return []


def children_with(parent: int, word: str) -> list[int]:
    """The children that have this word in their command line, oldest first."""
    return [pid for pid in children(parent) if word in command_line(pid)]


def kill(*pids: int, with_signal: int = signal.SIGKILL) -> None:
    """Signal those that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, with_signal)
