"""A file system of a few megabytes, mounted for one test, which can be filled and made read-only."""

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest

_READ_ONLY, _REMOUNT, _DETACH = 1, 32, 2


class SmallDisk:
    """``folder`` is where it is mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, *, leaving: int = 0) -> None:
        """Take all space but so many bytes."""
        with self._filler.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        if leaving:
            os.truncate(self._filler, self._filler.stat().st_size - leaving)

    def make_room(self) -> None:
        """Give the space back."""
        self._filler.unlink()

    def make_read_only(self) -> None:
        """As the kernel does with a disk that has errors."""
        _mount(self.folder, _REMOUNT | _READ_ONLY)

    def make_writable(self) -> None:
        _mount(self.folder, _REMOUNT)


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[SmallDisk]:
    """Mount one; the folder is made.

    Raises:
        OSError: It may not be mounted here.
    """
    folder.mkdir()
    _mount(folder, 0, f"size={size}")
    try:
        yield SmallDisk(folder)
    finally:
        detach(folder)


@cache
def cannot_mount() -> str | None:
    """Why no small disk can be had here; None when one can."""
    if sys.platform != "linux":
        return "small file systems are mounted on Linux only"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder) / "disk"):
                return None
        except OSError as error:
            return f"no small file system may be mounted here: {error}"


def detach(folder: Path) -> None:
    """Unmount, also where a process still has a file open."""
    _libc().umount2(str(folder).encode(), _DETACH)


def _mount(folder: Path, flags: int, options: str = "") -> None:
    if _libc().mount(b"tmpfs", str(folder).encode(), b"tmpfs", flags, options.encode()):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


needs_small_disk = pytest.mark.skipif(cannot_mount() is not None, reason=cannot_mount() or "")
