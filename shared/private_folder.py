"""Make folders that only their owner can read and that survive a loss of power."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

#: The rights of group and others.
_OTHERS: Final = 0o077


def make_private_folder(folder: Path) -> None:
    """Make a folder and its missing ancestors for their owner's eyes only, and sync the whole way to it.

    Ancestors that exist are synced too: another part of ackfirst may have made them a moment ago, and a power loss
    would take the folder with them.

    Raises:
        OSError: It cannot be made.
    """
    folder = folder.absolute()
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_mode & _OTHERS:
        with suppress(PermissionError):  # a volume of another owner that lets us write
            folder.chmod(0o700)
    device = folder.stat().st_dev
    for path in (folder, *folder.parents):
        if path.stat().st_dev != device:
            break  # the folder that a disk is mounted on was not made by us
        with suppress(PermissionError):  # the same of one that we may not open
            sync_folder(path)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk: a new name survives a power loss only when its folder was synced."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
