"""The spool of one process: its own file, the files that dead processes left, and the tasks that empty them."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ackfirst.ingest.request_log import Log
from ackfirst.ingest.spool.circuit import Circuit
from ackfirst.ingest.spool.drain import Drain
from ackfirst.ingest.spool.meters import SpoolMeters
from ackfirst.ingest.spool.writer import SpoolWriter
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.spool.file import check, look
from ackfirst.shared.spool.folder import Slot, slots, take_slot

#: Seconds between two looks at what there is to do.
INTERVAL: Final = 0.25

#: Seconds between two looks for files of dead processes.
LOOK_INTERVAL: Final = 2.0


class Spool:
    """A ``Fallback`` that empties itself.

    Args:
        folder: Shared by all ingest processes of an installation.
        max_bytes: How large one process's file may grow.
        max_age: Seconds; an event that waits longer is an alarm, and is queued all the same: it was acknowledged.
        circuit: Whether Redis takes writes.
        drain: Moves records.
        meters: Is told of every event.
        clock: Unix seconds.
        log: A structlog logger.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        max_age: float,
        circuit: Circuit,
        drain: Drain,
        meters: SpoolMeters,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._circuit = circuit
        self._drain = drain
        self._meters = meters
        meters.max_age.set(max_age)
        self._clock = clock
        self._log = log
        self._slot: Slot | None = None
        self._own = self._writer(self._own_place)
        self._adopted: dict[SpoolWriter, Slot] = {}
        self._next_look = 0.0
        self._paused: str | None = None
        self._is_late = False
        self._was_in_trouble = False

    async def put(self, envelope: Envelope) -> None:
        """Make an event durable on disk.

        Raises:
            QueueUnavailableError: It may not be.
        """
        await self._own.put(envelope)
        self._meters.step("spooled")

    async def run(self) -> None:
        """Empty the files whenever Redis takes writes, for ever."""
        await self._own.look()
        while True:
            moved = False
            try:
                await self._look_around()
                moved = await self._empty()
            except Exception:  # noqa: BLE001 - whatever it is, the next round may succeed
                self._log.exception("spool.failed")
            self._report()
            await asyncio.sleep(0 if moved else INTERVAL)

    async def close(self) -> None:
        """Write what waits, close the files and let others have them."""
        for writer, slot in list(self._adopted.items()):
            await writer.close()
            slot.release()
        await self._own.close()
        if self._slot is not None:
            self._slot.release()

    def state(self) -> dict[str, Any]:
        """For ``/readyz``."""
        depths = [writer.depth for writer in self._writers()]
        oldest = min((depth.oldest for depth in depths if depth.oldest is not None), default=None)
        return {
            "ok": self._own.trouble is None,
            "trouble": self._own.trouble,
            "circuit": self._circuit.reason or "closed",
            "records": sum(depth.records for depth in depths),
            "bytes": sum(depth.bytes for depth in depths),
            "oldest_seconds": 0.0 if oldest is None else round(self._clock() - oldest, 3),
            "over_age": self._is_late,
            "set_aside": sum(depth.set_aside for depth in depths),
        }

    def _writers(self) -> tuple[SpoolWriter, ...]:
        return (self._own, *self._adopted)

    async def _empty(self) -> bool:
        """One page of every file, in turn."""
        moved = False
        for writer in self._writers():
            if not self._circuit.writable:
                return False
            try:
                if writer.depth.records:
                    moved |= await self._drain.page(writer, lambda: self._circuit.writable)
            except QueueUnavailableError as error:
                self._pause(str(error))
                continue
            await self._leave_if_empty(writer)
        return moved

    def _pause(self, reason: str) -> None:
        if reason != self._paused:
            self._log.info("spool.drain-paused", reason=reason)
        self._paused = reason

    async def _look_around(self) -> None:
        """Every few seconds: can our file be written again, has anybody died and left one?"""
        loop = asyncio.get_running_loop()
        if loop.time() < self._next_look:
            return
        self._next_look = loop.time() + LOOK_INTERVAL
        if self._own.trouble:
            await self._own.look()
        if self._circuit.writable and not self._adopted:
            await self._adopt()

    async def _adopt(self) -> None:
        loop = asyncio.get_running_loop()
        for slot in await loop.run_in_executor(None, _abandoned, self._folder):
            writer = self._writer(lambda path=slot.path: path)  # type: ignore[misc]
            self._adopted[writer] = slot
            await writer.look()
            self._log.warning("spool.adopted", file=str(slot.path), records=writer.depth.records)

    async def _leave_if_empty(self, writer: SpoolWriter) -> None:
        if writer in self._adopted and not writer.depth.records:
            await writer.close()
            self._adopted.pop(writer).release()

    def _report(self) -> None:
        depths = [writer.depth for writer in self._writers()]
        used = self._own.depth.bytes / self._max_bytes
        self._meters.show(depths, self._clock(), used=used, usable=self._own.trouble is None)
        self._meters.circuit_open.set(not self._circuit.closed)
        self._report_age(min((depth.oldest for depth in depths if depth.oldest is not None), default=None))
        if bool(self._own.trouble) != self._was_in_trouble:
            self._was_in_trouble = not self._was_in_trouble
            if self._own.trouble:
                self._log.warning("spool.unusable", reason=self._own.trouble, consequence="503 while Redis fails, too")
            else:
                self._log.info("spool.usable")

    def _report_age(self, oldest: float | None) -> None:
        """One line on change, either way."""
        late = oldest is not None and self._clock() - oldest > self._max_age
        if late and not self._is_late:
            self._log.warning("spool.over-age", max_age=self._max_age, check="Redis, and ackfirst spool")
        self._is_late = late

    def _writer(self, place: Callable[[], Path]) -> SpoolWriter:
        return SpoolWriter(place, max_bytes=self._max_bytes, clock=self._clock, log=self._log)

    def _own_place(self) -> Path:
        if self._slot is None:
            self._slot = take_slot(self._folder)
        return self._slot.path


def _abandoned(folder: Path) -> list[Slot]:
    """Files that nobody holds and that have something to move or to mend; they are ours now."""
    return [slot for slot in slots(folder) if slot.take() and not _leave(slot)]


def _leave(slot: Slot) -> bool:
    """Whether there is nothing to do; then the slot is free again."""
    try:
        idle = check(slot.path) and not look(slot.path)[0].records
    except (sqlite3.Error, OSError):  # not made yet, or not ours to read
        idle = True
    if idle:
        slot.release()
    return idle
