"""Check this machine: the disk that the spool needs."""

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

from ackfirst.shared.findings import Findings, error, warning

#: Free bytes below which a longer outage of Redis cannot be spooled.
LITTLE_SPACE_BYTES: Final = 1 << 30
#: Seconds for one fsync above which spooled callbacks are answered late.
SLOW_FSYNC_SECONDS: Final = 0.05
#: Syncs of which the median is taken.
SAMPLES: Final = 10
#: File systems that a power failure or a reboot empties.
_VOLATILE: Final = frozenset({"tmpfs", "ramfs"})


def disk_findings(data_dir: Path, *, mounts: Path = Path("/proc/mounts")) -> Findings:
    """Yield what is wrong with the data folder's disk.

    Args:
        data_dir: The data folder.
        mounts: The kernel's table of mounts.
    """
    existing = next(folder for folder in (data_dir, *data_dir.absolute().parents) if _is_seen(folder))
    try:
        cost = _fsync_seconds(existing)
    except OSError as problem:
        yield error(
            "disk-not-writable",
            f"nothing can be written to {existing} ({problem.strerror}): without Redis, callbacks are answered 503",
            "check ACKFIRST_DATA_DIR, its owner and the disk",
        )
        return
    if cost > SLOW_FSYNC_SECONDS:
        yield warning(
            "disk-fsync-slow",
            f"a synced write to {existing} takes {cost * 1000:.0f} ms: while Redis is away, answers are that late",
            "put the data folder on a local SSD",
        )
    free = shutil.disk_usage(existing).free
    if free < LITTLE_SPACE_BYTES:
        yield warning(
            "disk-space",
            f"{existing} has {free / (1 << 20):.0f} MiB left: a longer outage of Redis cannot be spooled",
            "make room, or move ACKFIRST_DATA_DIR",
        )
    kind = _file_system(existing, mounts)
    if kind in _VOLATILE:
        yield error(
            "disk-volatile",
            f"{existing} is on {kind}: what is spooled there does not survive a reboot",
            "move ACKFIRST_DATA_DIR to a disk",
        )


def _is_seen(folder: Path) -> bool:
    """Return whether a folder exists, as far as this user may know."""
    try:
        return folder.exists()
    except OSError:  # one above it is another user's
        return False


def _fsync_seconds(folder: Path) -> float:
    seconds = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SAMPLES):
            started = time.perf_counter()
            file.write(b"x" * 700)
            file.flush()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _file_system(folder: Path, mounts: Path) -> str:
    """Return the kind of file system that a folder is on; an empty text where it is not known."""
    try:
        rows = [line.split() for line in mounts.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return ""
    place, best, kind = folder.resolve(), -1, ""
    for _, point, found, *_ in rows:
        path = Path(point.replace("\\040", " "))
        if (path == place or path in place.parents) and len(path.parts) >= best:
            best, kind = len(path.parts), found
    return kind
