"""The thread that owns one slot's segments: callbacks that arrive together are written and synced together."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

from ackfirst.ingest.request_log import Log
from ackfirst.ingest.spool.legacy import remove_sqlite, sqlite_frames
from ackfirst.ingest.spool.segment_log import MovedError, SegmentLog
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.spool.folder import Slot
from ackfirst.shared.spool.frame import Frame
from ackfirst.shared.spool.segment import Depth

#: Most events in one fsync.
GROUP_LIMIT: Final = 512

#: Most events that may wait for the disk.
BACKLOG_LIMIT: Final = 16_384

#: A spool that was full is so until it takes an event, or holds less than this share of what it held.
ROOM_AGAIN_SHARE: Final = 0.9

#: A disk that has not confirmed after so many seconds is given up.
CONFIRM_SECONDS: Final = 5.0

#: What is written to see whether the disk has room again.
_PROBE_BYTES: Final = 4096

T = TypeVar("T")
_Waiting = tuple[Frame, asyncio.Future[None]]


class SpoolWriter:
    """Does everything that is done to one slot.

    Args:
        take: Gives the slot, held by this process. Called in the thread, again after an ``OSError`` and when the folder
            was moved.
        max_bytes: How large the segments may grow.
        clock: Unix seconds.
        log: Reports damage and folders that are gone.
    """

    def __init__(self, take: Callable[[], Slot], *, max_bytes: int, clock: Callable[[], float], log: Log) -> None:
        self._take = take
        self._max_bytes = max_bytes
        self._clock = clock
        self._log = log
        self._full_text = f"the spool is full ({max_bytes} bytes), check ACKFIRST_SPOOL_MAX_BYTES"
        self._thread = ThreadPoolExecutor(1, "spool")
        self._segments: SegmentLog | None = None
        self._waiting: deque[_Waiting] = deque()
        self._commits: asyncio.Task[None] | None = None
        self.depth = Depth()
        """As of the last change or look."""
        self.moved_at: float | None = None
        """Unix seconds at which the folder was last found gone."""
        self._failure: str | None = None
        self._full_at: int | None = None
        """Bytes that the segments held when there was no room for a group; None while there is."""

    @property
    def trouble(self) -> str | None:
        """Why events cannot be written; None when they can."""
        return self._failure or (None if self._full_at is None else self._full_text)

    async def put(self, envelope: Envelope) -> None:
        """Return when the event is on the disk.

        Raises:
            QueueUnavailableError: It may not be: the spool is full, or the disk is, or it cannot be written.
        """
        if len(self._waiting) >= BACKLOG_LIMIT:
            raise QueueUnavailableError(f"{BACKLOG_LIMIT} events already wait for the disk")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((Frame(self._clock(), envelope.encode().encode()), done))
        if self._commits is None:
            self._commits = asyncio.create_task(self._commit_all())
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                await done
        except TimeoutError:
            raise QueueUnavailableError(f"the spool's disk did not confirm within {CONFIRM_SECONDS:g} s") from None

    async def call(self, work: Callable[[SegmentLog], T]) -> T:
        """Do something to the segments, in their thread.

        Raises:
            QueueUnavailableError: It cannot be done now.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    async def look(self) -> None:
        """Bring ``depth`` and ``trouble`` up to date: is the folder in place, and can it be written?"""
        with suppress(QueueUnavailableError):
            await self.call(self._look)
        with suppress(QueueUnavailableError):
            while await self.call(SegmentLog.count_next):
                """One segment a call: callbacks get their turn in between."""

    async def close(self) -> None:
        """Write what waits, close the segments and let other processes have the slot."""
        while self._commits is not None:
            await asyncio.wait((self._commits,))
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
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
            await self.call(lambda segments: self._append(segments, [frame for frame, _ in group]))
        except Exception as error:  # noqa: BLE001 - every waiting callback must hear of it, whatever it is
            failure = error
        for _, done in group:
            if done.done():
                continue
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)

    # In the thread
    def _do(self, work: Callable[[SegmentLog], T]) -> T:
        try:
            segments = self._segments = self._segments or self._open()
            try:
                return work(segments)
            except MovedError as error:
                return work(self._recreate(segments, error))
        except OSError as error:
            self._failure = f"the spool cannot be used: {error}"
            raise QueueUnavailableError(self._failure) from error
        finally:
            if self._segments is not None:
                self.depth = self._segments.depth()
                if self._full_at is not None and self.depth.bytes < ROOM_AGAIN_SHARE * self._full_at:
                    self._full_at = None

    def _append(self, segments: SegmentLog, frames: list[Frame]) -> None:
        held = segments.depth().bytes
        if held + sum(len(frame.text) for frame in frames) > self._max_bytes:
            self._full_at = held
            raise QueueUnavailableError(self._full_text)
        segments.append(frames)
        self._failure = self._full_at = None

    def _look(self, segments: SegmentLog) -> None:
        segments.check_places()
        if segments.slot.sqlite.exists():
            self._move_sqlite(segments)
        segments.tidy(idle=True)
        if self._failure is not None or not segments.was_probed:
            segments.probe(_PROBE_BYTES)
            self._failure = None

    def _open(self) -> SegmentLog:
        slot = self._take()
        try:
            return SegmentLog(slot, max_bytes=self._max_bytes, log=self._log)
        except BaseException:
            slot.release()
            raise

    def _recreate(self, old: SegmentLog, error: MovedError) -> SegmentLog:
        """Make a new folder, and bring there what was acknowledged: its files are gone, but still open here."""
        self.moved_at = self._clock()
        new = self._open()
        records = 0
        try:
            for frames in old.all_frames():
                if frames:
                    new.append(frames)
                    records += len(frames)
        except BaseException:
            new.discard()
            new.slot.release()
            raise
        self._segments = new
        old.close()
        old.slot.release()
        self._log.error("spool.moved", reason=str(error), records=records, folder=str(new.slot.folder))
        return new

    def _move_sqlite(self, segments: SegmentLog) -> None:
        path, records = segments.slot.sqlite, 0
        for frames in sqlite_frames(path):
            if frames:
                segments.append(frames)
                records += len(frames)
        remove_sqlite(path)
        self._log.info("spool.sqlite-moved", file=str(path), records=records)

    def _close(self) -> None:
        segments, self._segments = self._segments, None
        if segments is not None:
            with suppress(OSError):
                segments.tidy(idle=True)
            segments.close()
            segments.slot.release()
