"""Move spooled events to Redis: oldest first, in small batches; only what Redis confirmed is forgotten here."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ackfirst.ingest.batcher import EventQueue
from ackfirst.ingest.request_log import Log
from ackfirst.ingest.spool.circuit import is_about_one_event
from ackfirst.ingest.spool.segment_log import Page
from ackfirst.ingest.spool.writer import SpoolWriter
from ackfirst.shared.errors import EnvelopeError, QueueUnavailableError
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.spool.frame import Record

#: Records in one read of the disk, and in one round trip to Redis.
_PORTIONS: Final = (1024, 256)

#: The same while callbacks come, which wait for either: about 1 ms of the event loop's time, and of Redis's.
_SMALL_PORTIONS: Final = (128, 16)

#: Callbacks are expected for so long after the last one.
CALM_SECONDS: Final = 0.25


@dataclass(slots=True)
class _Outcome:
    """The fates of a page's records so far, in their order."""

    settled: int = 0
    """Records at the page's beginning that need no further attempt now."""
    confirmed: int = 0
    unreadable: list[Record] = field(default_factory=list)
    refused: list[Record] = field(default_factory=list)
    reason: str = ""
    """Why the last record was passed over."""


class Drain:
    """Empties segments.

    Args:
        queue: Where events go; writing one again is harmless there.
        clock: Unix seconds.
        arrivals: How many callbacks came so far: while they come, draining takes half of the time.
        on_step: Counts records: ``drained``, ``set-aside``, ``refused`` or ``damaged``.
        log: Reports what is passed over.
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
        """Move the oldest records; False when there is nothing to move.

        Raises:
            QueueUnavailableError: Redis or the disk cannot go on; what was not confirmed will be sent once more.
        """
        most, _ = self._portions()
        page = await spool.call(lambda segments: segments.page(most))
        return page is not None and await self._move(spool, page, allowed)

    async def retry_refused(self, spool: SpoolWriter, allowed: Callable[[], bool]) -> None:
        """Try once more what Redis refused before.

        Raises:
            QueueUnavailableError: As :meth:`page`.
        """
        most, _ = self._portions()
        page = await spool.call(lambda segments: segments.refused_page(most))
        if page is not None:
            await self._move(spool, page, allowed, is_retry=True)

    async def _move(
        self, spool: SpoolWriter, page: Page, allowed: Callable[[], bool], *, is_retry: bool = False
    ) -> bool:
        outcome = _Outcome()
        try:
            await self._send_all(page.records, outcome, allowed)
        finally:
            if outcome.settled:
                await spool.call(
                    lambda segments: segments.settle(
                        page, outcome.settled, unreadable=outcome.unreadable, refused=outcome.refused
                    )
                )
                self._report(page, outcome, is_retry=is_retry)
        return True

    def _report(self, page: Page, outcome: _Outcome, *, is_retry: bool) -> None:
        # Refused again is no news: it would be a line every two seconds.
        passed_over = {"set-aside": len(outcome.unreadable), "refused": 0 if is_retry else len(outcome.refused)}
        damaged = sum(record.frame is None for record in page.records[: outcome.settled])
        for step, count in {"drained": outcome.confirmed, **passed_over, "damaged": damaged}.items():
            self._on_step(step, count)
        for step, count in passed_over.items():
            if count:  # one line for a page, not one for each of its records
                self._log.warning(
                    f"spool.{step}",
                    records=count,
                    file=str(page.segment.path),
                    reason=outcome.reason,
                    check="ackfirst spool" if step == "set-aside" else "the type of this key in Redis",
                )

    async def _send_all(self, records: Sequence[Record], outcome: _Outcome, allowed: Callable[[], bool]) -> None:
        """Send slice after slice; the next one is decoded while Redis has the last one."""
        loop = asyncio.get_running_loop()
        first, after = 0, self._portions()[1]
        envelopes = _decode(records[:after])
        while first < len(records) and allowed():
            started = loop.time()
            this, sent = records[first:after], envelopes
            first, after = after, after + self._portions()[1]
            sending = asyncio.create_task(self._send([one for one in sent if isinstance(one, Envelope)]))
            await asyncio.sleep(0)  # lets it begin
            try:
                envelopes = _decode(records[first:after])
            finally:
                results = await sending
            _note(outcome, this, sent, results)
            await asyncio.sleep(loop.time() - started if self._is_busy() else 0)

    def _portions(self) -> tuple[int, int]:
        return _SMALL_PORTIONS if self._is_busy() else _PORTIONS

    def _is_busy(self) -> bool:
        now, arrivals = asyncio.get_running_loop().time(), self._arrivals()
        before, when = self._heard
        if arrivals != before:
            self._heard = arrivals, now
            return True
        return now - when < CALM_SECONDS

    async def _send(self, envelopes: Sequence[Envelope]) -> list[bool | Exception]:
        if not envelopes:
            return []
        try:
            return list(await self._queue.enqueue(envelopes, now=self._clock()))
        except QueueUnavailableError as error:
            return [error] * len(envelopes)
        except Exception as error:  # noqa: BLE001 - one that cannot be written must not hold up the rest
            if len(envelopes) == 1:
                return [error]
            return [result for envelope in envelopes for result in await self._send([envelope])]


def _decode(records: Sequence[Record]) -> list[Envelope | str | None]:
    """Read envelopes: a text says why one cannot be read, None stands for a damaged stretch."""
    return [None if record.frame is None else _envelope(record.frame.text) for record in records]


def _envelope(text: bytes) -> Envelope | str:
    try:
        return Envelope.decode(text.decode())
    except (EnvelopeError, UnicodeDecodeError) as error:
        return str(error)


def _note(
    outcome: _Outcome,
    records: Sequence[Record],
    sent: Sequence[Envelope | str | None],
    results: Sequence[bool | Exception],
) -> None:
    """Add a slice's results, up to the first record that Redis could not take.

    Raises:
        QueueUnavailableError: Redis could not take one.
    """
    answers = iter(results)
    for record, envelope in zip(records, sent, strict=True):
        match envelope:
            case None:
                pass
            case str(reason):
                outcome.unreadable.append(record)
                outcome.reason = reason
            case _:
                match next(answers):
                    case bool():
                        outcome.confirmed += 1
                    case QueueUnavailableError() as error if not is_about_one_event(error):
                        raise error
                    case QueueUnavailableError() as error:
                        outcome.refused.append(record)
                        outcome.reason = str(error)
                    case error:
                        outcome.unreadable.append(record)
                        outcome.reason = f"it cannot be written: {error}"
        outcome.settled += 1
