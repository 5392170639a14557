"""Lock a file for one process at a time. The kernel releases the lock when the process ends, however it ends."""

import errno
import fcntl
import os
from pathlib import Path


class FileLock:
    """An advisory lock (``flock``) on a file, which is created when needed and never removed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def take(self) -> bool:
        """Take the lock; return False if another process has it.

        Raises:
            OSError: The file cannot be opened.
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
        """Release the lock. A process that inherited :meth:`fileno` still has it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def is_free(self) -> bool:
        """Return whether no process has the lock at this moment."""
        if self._fd is not None or not self.take():
            return False
        self.release()
        return True

    def sign(self, pid: int) -> None:
        """Write the holder's process id into the file, for messages: the lock itself does not tell it."""
        self._path.write_text(f"{pid}\n")

    def signature(self) -> str:
        """Describe the holder, as far as its process id was written down."""
        return f"process {self._path.read_text().strip() or 'unknown'}"

    def fileno(self) -> int:
        """Return the descriptor that carries the lock."""
        if self._fd is None:
            raise ValueError(f"{self._path} is not locked")
        return self._fd
