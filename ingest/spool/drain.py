"""From a spool file to Redis: oldest first, in small batches, and only what Redis confirmed is forgotten here."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ackfirst.ingest.batcher import EventQueue, Written
from ackfirst.ingest.request_log import Log
from ackfirst.ingest.spool.circuit import is_about_one_event
from ackfirst.ingest.spool.writer import SpoolWriter
from ackfirst.shared.errors import EnvelopeError, QueueUnavailableError
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.spool.file import Record

#: Records in one read and one removal, which is one sync of the disk; and in one round trip.
_PORTIONS: Final = (1024, 256)

#: The same while callbacks come, which wait for either: about 1 ms of the event loop's time, and of Redis's.
_SMALL_PORTIONS: Final = (128, 16)

#: Seconds after the last callback for which more are expected.
CALM: Final = 0.25


class _Letter(NamedTuple):
    record: int
    envelope: Envelope


class Drain:
    """Empties files.

    Args:
        queue: Where events go; writing one again is harmless there.
        clock: Unix seconds.
        arrivals: How many callbacks came so far: while they come, draining takes half of the time.
        on_step: Is told ``drained`` or ``set-aside`` and how many.
        log: Is told what is set aside.
    """

    def __init__(
        self,
        queue: EventQueue,
        *,
        clock: Callable[[], float],
        arrivals: Callable[[], int],
        on_step: Callable[[str, int], None],
        log: Log,
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._arrivals = arrivals
        self._on_step = on_step
        self._log = log
        self._heard = 0, float("-inf")

    async def page(self, spool: SpoolWriter, allowed: Callable[[], bool]) -> bool:
        """Move the oldest records of one file; False when there is nothing to move.

        Raises:
            QueueUnavailableError: Redis or the disk cannot go on; what was confirmed before is removed, or will be sent
                once more, which the queue recognises.
        """
        most, _ = self._portions()
        records = await spool.call(lambda file: file.oldest(most))
        confirmed: list[int] = []
        try:
            await self._move(spool, records, allowed, confirmed)
        finally:
            if confirmed:
                await spool.call(lambda file: file.remove(confirmed))
                self._on_step("drained", len(confirmed))
        return bool(records)

    async def _move(
        self, spool: SpoolWriter, records: Sequence[Record], allowed: Callable[[], bool], confirmed: list[int]
    ) -> None:
        """Send slice after slice; the next one is read while Redis has the last one."""
        loop = asyncio.get_running_loop()
        first, after = 0, self._portions()[1]
        letters = await self._letters(spool, records[:after])
        while first < len(records) and allowed():
            started = loop.time()
            first, after = after, after + self._portions()[1]
            sending = asyncio.create_task(self._send(spool, letters))
            await asyncio.sleep(0)  # lets it begin
            try:
                letters = await self._letters(spool, records[first:after])
            finally:
                confirmed += await sending
            await asyncio.sleep(loop.time() - started if self._is_busy() else 0)

    def _portions(self) -> tuple[int, int]:
        return _SMALL_PORTIONS if self._is_busy() else _PORTIONS

    def _is_busy(self) -> bool:
        now, arrivals = asyncio.get_running_loop().time(), self._arrivals()
        before, when = self._heard
        if arrivals != before:
            self._heard = arrivals, now
            return True
        return now - when < CALM

    async def _letters(self, spool: SpoolWriter, records: Sequence[Record]) -> list[_Letter]:
        return [letter for record in records if (letter := await self._read(spool, record))]

    async def _read(self, spool: SpoolWriter, record: Record) -> _Letter | None:
        if record.frame is None:
            await self._set_aside(spool, record.id, "damaged on the disk: its checksum does not match")
            return None
        try:
            return _Letter(record.id, Envelope.decode(record.frame.text.decode()))
        except (EnvelopeError, UnicodeDecodeError) as error:
            await self._set_aside(spool, record.id, str(error))
            return None

    async def _send(self, spool: SpoolWriter, letters: Sequence[_Letter]) -> list[int]:
        if not letters:
            return []
        try:
            results = await self._queue.enqueue([letter.envelope for letter in letters], now=self._clock())
        except QueueUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - one that cannot be written must not hold up the rest
            if len(letters) == 1:
                await self._set_aside(spool, letters[0].record, f"cannot be written: {error}")
                return []
            return [record for letter in letters for record in await self._send(spool, [letter])]
        return await self._sort(spool, letters, results)

    async def _sort(self, spool: SpoolWriter, letters: Sequence[_Letter], results: Sequence[Written]) -> list[int]:
        confirmed = []
        failure = None
        for letter, result in zip(letters, results, strict=True):
            if isinstance(result, bool):
                confirmed.append(letter.record)
            elif is_about_one_event(result):
                await self._set_aside(spool, letter.record, str(result))
            else:
                failure = result
        if failure is not None and not confirmed:
            raise failure
        return confirmed

    async def _set_aside(self, spool: SpoolWriter, record: int, reason: str) -> None:
        await spool.call(lambda file: file.set_aside(record, reason))
        self._on_step("set-aside", 1)
        self._log.warning("spool.set-aside", record=record, reason=reason, check="ackfirst spool")
