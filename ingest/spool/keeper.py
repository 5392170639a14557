"""Run the spool of one process: its own slot, the slots that dead processes left, and the task that empties them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ackfirst.ingest.request_log import Log
from ackfirst.ingest.spool.circuit import Circuit
from ackfirst.ingest.spool.drain import Drain
from ackfirst.ingest.spool.meters import SpoolMeters
from ackfirst.ingest.spool.writer import SpoolWriter
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.spool.folder import Slot, slots, take_slot
from ackfirst.shared.spool.segment import segment_paths

#: Pause of the drain when there is nothing to move.
IDLE_SECONDS: Final = 0.25

#: Between two looks at the folder, at slots of dead processes, and at what Redis refused.
LOOK_SECONDS: Final = 2.0


class Spool:
    """Takes events while Redis cannot, and empties itself.

    Args:
        folder: Shared by all ingest processes of an installation.
        max_bytes: How large one process's segments may grow.
        max_age: Seconds; an event that waits longer is an alarm, and is queued all the same: it was acknowledged.
        circuit: Whether Redis takes writes.
        drain: Moves records.
        meters: Counts every event.
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
        self._own = self._writer(lambda: take_slot(folder))
        self._adopted: list[SpoolWriter] = []
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
        """Empty the slots whenever Redis takes writes, for ever."""
        while True:
            moved = False
            try:
                await self._look_around()
                moved = await self._empty()
            except Exception:  # noqa: BLE001 - whatever it is, the next round may succeed
                self._log.exception("spool.failed")
            self._report()
            await asyncio.sleep(0 if moved else IDLE_SECONDS)

    async def close(self) -> None:
        """Write what waits, close the segments and let other processes have the slots."""
        for writer in (*self._adopted, self._own):
            await writer.close()

    def state(self) -> dict[str, Any]:
        """Describe the spool for ``/readyz``."""
        depths = [writer.depth for writer in self._writers()]
        oldest = min((depth.oldest for depth in depths if depth.oldest is not None), default=None)
        moved_at = self._own.moved_at
        return {
            "ok": self._own.trouble is None,
            "trouble": self._own.trouble,
            "circuit": self._circuit.reason or "closed",
            "records": sum(depth.records for depth in depths),
            "bytes": sum(depth.bytes for depth in depths),
            "used_ratio": round(self._own.depth.bytes / self._max_bytes, 4),
            "oldest_seconds": 0.0 if oldest is None else round(self._clock() - oldest, 3),
            "over_age": self._is_late,
            "set_aside": sum(depth.set_aside for depth in depths),
            "folder_moved_at": moved_at and datetime.fromtimestamp(moved_at, UTC).isoformat(timespec="seconds"),
        }

    def _writers(self) -> tuple[SpoolWriter, ...]:
        return (self._own, *self._adopted)

    async def _empty(self) -> bool:
        """Move one page of every slot, in turn."""
        moved = False
        for writer in self._writers():
            if not self._circuit.writable:
                return False
            try:
                # Not only where the depth says so: a damaged piece is no record, and is to be reported.
                moved |= await self._drain.page(writer, lambda: self._circuit.writable)
                await writer.call(lambda segments: segments.tidy(idle=False))
            except QueueUnavailableError as error:
                self._pause(str(error))
                continue
            if writer in self._adopted and not writer.depth.bytes:
                self._adopted.remove(writer)
                await writer.close()
        return moved

    def _pause(self, reason: str) -> None:
        if reason != self._paused:
            self._log.info("spool.drain-paused", reason=reason)
        self._paused = reason

    async def _look_around(self) -> None:
        """Every few seconds: is our folder in place, has another process died, does Redis take what it refused?"""
        loop = asyncio.get_running_loop()
        if loop.time() < self._next_look:
            return
        self._next_look = loop.time() + LOOK_SECONDS
        await self._own.look()
        if not self._circuit.writable:
            return
        await self._adopt()
        for writer in self._writers():
            with suppress(QueueUnavailableError):
                await self._drain.retry_refused(writer, lambda: self._circuit.writable)

    async def _adopt(self) -> None:
        for slot in await asyncio.to_thread(_abandoned, self._folder):
            writer = self._writer(lambda slot=slot: slot)  # type: ignore[misc]
            self._adopted.append(writer)
            await writer.look()
            self._log.warning("spool.adopted", folder=str(slot.folder), records=writer.depth.records)

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
        """Log one line on change, either way."""
        late = oldest is not None and self._clock() - oldest > self._max_age
        if late and not self._is_late:
            self._log.warning("spool.over-age", max_age=self._max_age, check="Redis, and ackfirst spool")
        self._is_late = late

    def _writer(self, take: Callable[[], Slot]) -> SpoolWriter:
        return SpoolWriter(take, max_bytes=self._max_bytes, clock=self._clock, log=self._log)


def _abandoned(folder: Path) -> list[Slot]:
    """Take every slot that no process holds and that has something to move."""
    return [slot for slot in slots(folder) if (segment_paths(slot.folder) or slot.sqlite.exists()) and slot.take()]
