"""The spool's folder: one file a process, held by a lock that the kernel gives back when the process ends."""

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

from ackfirst.shared.embedded.lock import FileLock
from ackfirst.shared.settings.files import make_private

_NAME: Final = "spool-{}.db"


class Slot:
    """One place in the folder. Files and locks are never removed, so that a name always means the same file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path.with_suffix(".lock"))

    def take(self) -> bool:
        """Hold it until :meth:`release` or the end of this process; False when another process holds it."""
        if not self._lock.take():
            return False
        self._lock.sign(os.getpid())
        return True

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()

    def holder(self) -> str | None:
        """Who holds it, for people; None for nobody."""
        return None if self._lock.is_free() else self._lock.signature()


def spool_folder(data_dir: Path) -> Path:
    """Where the spool of an installation lies."""
    return data_dir / "spool"


def take_slot(folder: Path) -> Slot:
    """The first place that nobody holds; the folder is made when it is missing.

    Raises:
        OSError: The folder cannot be written.
    """
    make_private(folder)
    return next(slot for slot in (Slot(folder / _NAME.format(number)) for number in count()) if slot.take())


def slots(folder: Path) -> Iterator[Slot]:
    """Every place that has a file."""
    return map(Slot, sorted(folder.glob(_NAME.format("*"))))


def damaged_files(folder: Path) -> list[Path]:
    """Files that were found damaged and are kept for a look; their whole records have been moved."""
    return sorted(path for path in folder.glob("spool-*.damaged-*") if not path.name.endswith(("-wal", "-shm")))
