"""The spool's folders: one a process, held by a lock that the kernel gives back when the process ends."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from ackfirst.shared.embedded.lock import FileLock
from ackfirst.shared.private_folder import make_private_folder

_NAME: Final = "spool-{}"
_SLOT: Final = re.compile(r"(spool-\d+)(\.db)?")


class Slot:
    """One folder of segments and its lock. Neither is ever removed, so that a name always means the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sqlite = folder.with_suffix(".db")
        """Where releases that spooled into SQLite kept their file."""
        self._lock_path = folder.with_suffix(".lock")
        self._lock = FileLock(self._lock_path)

    def take(self) -> bool:
        """Hold it until :meth:`release` or the end of this process; False when another process holds it."""
        if not self._lock.take():
            return False
        with suppress(OSError):  # a full disk has no room for the note, but what waits here must be drained
            self._lock.sign(os.getpid())
        return True

    def release(self) -> None:
        """Let another process have it."""
        self._lock.release()

    def holder(self) -> str | None:
        """Name the process that holds it, for people; None when none does."""
        return None if self._lock.is_free() else self._lock.signature()

    def is_in_place(self) -> bool:
        """Return whether folder and lock are still in place: not moved, not removed."""
        try:
            return os.path.samestat(self._lock_path.stat(), os.fstat(self._lock.fileno())) and self.folder.is_dir()
        except FileNotFoundError:
            return False


def spool_folder(data_dir: Path) -> Path:
    """Return the folder of an installation's spool."""
    return data_dir / "spool"


def take_slot(folder: Path) -> Slot:
    """Take the first slot that no process holds; folders that are missing are made.

    Raises:
        OSError: The folder cannot be written.
    """
    make_private_folder(folder)
    slot = next(slot for slot in (Slot(folder / _NAME.format(number)) for number in count()) if slot.take())
    try:
        make_private_folder(slot.folder)
    except BaseException:
        slot.release()
        raise
    return slot


def slots(folder: Path) -> Iterator[Slot]:
    """List every slot that has a folder, or the SQLite file of an older release."""
    names = {match.group(1) for name in file_names(folder) if (match := _SLOT.fullmatch(name))}
    return (Slot(folder / name) for name in sorted(names))


def file_names(folder: Path) -> list[str]:
    """List a folder in order; empty when it is missing.

    Raises:
        OSError: It may not be read. ``Path.glob`` would find nothing there, and say nothing.
    """
    try:
        return sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []
