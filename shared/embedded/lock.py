"""A file that one process at a time may hold. The kernel lets go of it when the holder ends, however it ends."""

import errno
import fcntl
import os
from pathlib import Path


class FileLock:
    """An advisory lock (``flock``) on a file that is created when needed and never removed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def take(self) -> bool:
        """Hold the lock from now on; False when another process holds it.

        Raises:
            OSError: the file cannot be opened.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            fd = os.open(self._path, os.O_RDONLY)  # what waits in the spool of a read-only disk must still be drained
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        """Let go. A process that was started with :meth:`fileno` passed on still holds the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def is_free(self) -> bool:
        """Whether nobody holds the lock at this moment."""
        if self._fd is not None or not self.take():
            return False
        self.release()
        return True

    def sign(self, pid: int) -> None:
        """Write down who holds the lock, for people: the lock itself does not say."""
        self._path.write_text(f"{pid}\n")

    def signature(self) -> str:
        """Who holds the lock, as far as it was written down."""
        return f"process {self._path.read_text().strip() or 'unknown'}"

    def fileno(self) -> int:
        """The descriptor that carries the lock while it is held."""
        if self._fd is None:
            raise ValueError(f"{self._path} is not locked")
        return self._fd
