"""The thread that owns one spool file: callbacks that arrive together are written and synced together."""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from ackfirst.ingest.request_log import Log
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.spool.file import Depth, SpoolFile, check, is_damage, is_full, mend
from ackfirst.shared.spool.frame import Frame

#: Most events in one commit.
GROUP_LIMIT: Final = 512

#: Most events that may wait for the disk.
BACKLOG_LIMIT: Final = 16_384

#: A file that was full is so until it holds less than this share of its limit.
ROOM_AGAIN: Final = 0.9

#: Seconds after which a disk that has not confirmed is given up.
PATIENCE: Final = 5.0

T = TypeVar("T")
_Waiting = tuple[Frame, asyncio.Future[None]]


class SpoolWriter:
    """Everything that is done to one file.

    Args:
        place: Where the file is, held by this process. Called in the thread, again after an ``OSError``.
        max_bytes: How large it may grow.
        clock: Unix seconds.
        log: Is told of damage.
    """

    def __init__(self, place: Callable[[], Path], *, max_bytes: int, clock: Callable[[], float], log: Log) -> None:
        self._place = place
        self._max_bytes = max_bytes
        self._clock = clock
        self._log = log
        self._full_text = f"the spool is full ({max_bytes} bytes), check ACKFIRST_SPOOL_MAX_BYTES"
        self._thread = ThreadPoolExecutor(1, "spool")
        self._file: SpoolFile | None = None
        self._checked = False
        self._waiting: deque[_Waiting] = deque()
        self._commits: asyncio.Task[None] | None = None
        self.depth = Depth()
        """As of the last change or look."""
        self._failure: str | None = None
        self._full = False

    @property
    def trouble(self) -> str | None:
        """Why events cannot be written; None when they can."""
        return self._failure or (self._full_text if self._full else None)

    async def put(self, envelope: Envelope) -> None:
        """Return when the event is on the disk.

        Raises:
            QueueUnavailableError: It may not be: the file is full, or the disk is, or it cannot be written.
        """
        if len(self._waiting) >= BACKLOG_LIMIT:
            raise QueueUnavailableError(f"{BACKLOG_LIMIT} events already wait for the disk")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((Frame(self._clock(), envelope.encode().encode()), done))
        if self._commits is None:
            self._commits = asyncio.create_task(self._commit_all())
        try:
            async with asyncio.timeout(PATIENCE):
                await done
        except TimeoutError:
            raise QueueUnavailableError(f"the spool's disk did not confirm within {PATIENCE:g} s") from None

    async def call(self, work: Callable[[SpoolFile], T]) -> T:
        """Do something to the file, in its thread.

        Raises:
            QueueUnavailableError: It cannot be done now.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    async def look(self) -> None:
        """Bring ``depth`` and ``trouble`` up to date: open the file, and see whether it can be written."""
        try:
            await self.call(SpoolFile.touch)
        except QueueUnavailableError:
            return

    async def close(self) -> None:
        """Write what waits, and close the file."""
        while self._commits is not None:
            await asyncio.wait((self._commits,))
        await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._thread.shutdown(wait=False)

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                await self._commit([self._waiting.popleft() for _ in range(min(GROUP_LIMIT, len(self._waiting)))])
        finally:
            self._commits = None

    async def _commit(self, group: list[_Waiting]) -> None:
        failure: Exception | None = None
        try:
            await self.call(lambda file: self._append(file, [frame for frame, _ in group]))
        except Exception as error:  # noqa: BLE001 - every waiting callback must hear of it, whatever it is
            failure = error
        for _, done in group:
            if done.done():
                continue
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)

    def _append(self, file: SpoolFile, frames: list[Frame]) -> None:
        if self.depth.bytes + sum(len(frame.text) for frame in frames) > self._max_bytes:
            self._full = True
            raise QueueUnavailableError(self._full_text)
        file.append(frames)

    def _do(self, work: Callable[[SpoolFile], T]) -> T:
        try:
            return self._attempt(work)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise self._failed(error) from error
        except OSError as error:
            raise self._failed(error) from error
        try:  # the damage is mended when the file is opened again
            return self._attempt(work)
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error

    def _attempt(self, work: Callable[[SpoolFile], T]) -> T:
        try:
            if self._file is None:
                self._file = self._open()
            self.depth = self._file.depth()
            result = work(self._file)
            self.depth = self._file.depth()
        except (sqlite3.Error, OSError) as error:
            if not is_full(error):
                self._drop()  # in which state it is nobody knows
            self._checked = self._checked and not is_damage(error)
            raise
        self._failure = None
        self._full = self._full and self.depth.bytes > ROOM_AGAIN * self._max_bytes
        return result

    def _open(self) -> SpoolFile:
        path = self._place()
        if not self._checked:
            if not check(path):
                self._mend(path)
            self._checked = True
            file = SpoolFile(path)
            file.reconsider()
            return file
        return SpoolFile(path)

    def _mend(self, path: Path) -> None:
        started = time.monotonic()
        records, kept = mend(path, now=self._clock())
        self._log.warning(
            "spool.damaged",
            file=str(path),
            salvaged=records,
            kept=str(kept),
            seconds=round(time.monotonic() - started, 3),
            consequence="records that were damaged are lost, all others will be queued; some may be queued again",
        )

    def _failed(self, error: Exception) -> QueueUnavailableError:
        self._failure = f"the spool cannot be used: {error}"
        return QueueUnavailableError(self._failure)

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except sqlite3.Error as error:
                self._log.warning("spool.close-failed", error=str(error))
