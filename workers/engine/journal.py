"""What has ended in an engine's hands and is not written down yet: in a file that outlives the engine's process."""

import errno
import fcntl
import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from ackfirst.shared.private_folder import make_private_folder
from ackfirst.workers.engine.taken import Taken
from ackfirst.workers.processing.marks import Mark

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

#: Separates the parts of a note; ends a note; ends all notes. No name of a handler and no mark has one of them.
PART: Final = b"\n"
NOTE: Final = b"\0"
END: Final = b"\0"

#: Bytes after which notes of settled jobs are overwritten. A note has about 200, and jobs are settled by the hundred.
ENOUGH: Final = 1 << 18


def journals(data_dir: Path, redis_url: str) -> Path:
    """The folder of a Redis's journals. Each file is named for its engine, which holds it by a lock while it lives."""
    parts = urlsplit(redis_url)
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"  # not its password
    return data_dir / "journal" / sha256(where.encode(errors="replace")).hexdigest()[:12]


class Journal:
    """Notes that the kernel keeps: what was noted is there, at whatever instruction the process is killed.

    A batch is written down at its end. When a handler ends the process before, the supervisor finds here which others
    had ended (``legacy``), and they do not run a second time. A note costs one call of the kernel, and
    Redis nothing. It does not outlive the machine: after a power failure such handlers run again. So they do where the
    file cannot be written, of which the log tells once. Any thread may call any method.
    """

    def __init__(self, path: Path, *, log: "FilteringBoundLogger") -> None:
        self._path = path
        self._log = log
        self._lock = threading.Lock()
        self._file: int | None = None
        self._identity = 0, 0
        self._end = 0
        self._noted: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        try:
            self._file = _locked(self._path)
            found = os.fstat(self._file)
            self._identity = found.st_dev, found.st_ino
        except OSError as error:
            self._give_up(error)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the file, unless it has something to say."""
        if self._file is not None:
            if not self._noted:
                self._path.unlink(missing_ok=True)
            self._close(self._file)

    def note(self, job: Taken, marks: Mapping[str, Mark], *, is_over: bool, keep: int) -> None:
        """Handlers of a job have ended, all of this pass when it ``is_over``; ``keep`` seconds their marks stay."""
        parts = [job.job_id.encode(), f"{job.execution_id} {int(is_over)} {keep}".encode()]
        for handler, mark in marks.items():
            parts += (handler.encode(), mark.encode())
        note = PART.join(parts) + NOTE
        with self._lock:
            self._noted[job.job_id] = note
            if self._end < ENOUGH:
                self._append(note)
            else:
                self._begin_again()

    def forget(self, job_ids: Iterable[str]) -> None:
        """These jobs are settled, or in nobody's hands any more."""
        with self._lock:
            for job_id in job_ids:
                self._noted.pop(job_id, None)
            if self._end and not self._noted:
                self._begin_again()

    def _begin_again(self) -> None:
        self._end = 0
        self._append(b"".join(self._noted.values()))

    def _append(self, notes: bytes) -> None:
        if self._file is None:
            return
        try:
            self._write(self._file, notes + END)
        except OSError as error:
            self._close(self._file)
            self._give_up(error)
        self._end += len(notes)

    def _close(self, file: int) -> None:
        self._file = None
        with suppress(OSError):  # somebody has closed it: then it is not ours to close
            if self._is_ours(file):
                os.close(file)

    def _write(self, file: int, content: bytes) -> None:
        if not self._is_ours(file):
            raise OSError(errno.EBADF, "the file was closed by other code")
        if os.pwrite(file, content, self._end) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _is_ours(self, file: int) -> bool:
        """Whether the number still names our file: code in this process may have closed it, and opened another."""
        found = os.fstat(file)
        return (found.st_dev, found.st_ino) == self._identity

    def _give_up(self, error: OSError) -> None:
        hint = "check ACKFIRST_DATA_DIR: without it a crash of a handler repeats others of its batch"
        self._log.warning("journal.unavailable", error=str(error), hint=hint)


def _locked(path: Path) -> int:
    """A new file that only this process holds: nobody sees it without its lock."""
    make_private_folder(path.parent)
    hidden = path.with_name(f".{path.name}")
    file = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hidden.rename(path)
    except OSError:
        os.close(file)
        raise
    return file


def read_notes(content: bytes) -> dict[bytes, bytes]:
    """Job id → its latest note without the id; what was being written at the end is left out."""
    notes: dict[bytes, bytes] = {}
    for one in content.split(NOTE)[:-1]:
        job_id, _, note = one.partition(PART)
        if not note:
            break
        notes[job_id] = note
    return notes
