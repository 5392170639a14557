"""The core of ``ackfirst quarantine recheck``: verify again, queue what passes, and only then let go of it.

May be killed at any instant and run again: an event that is queued already is a duplicate, and its record goes then.
"""

from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.policy import Verdict
from ackfirst.shared.quarantine.review import Entry
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.envelope_builder import build_envelope
from ackfirst.shared.verification import Verification

#: Events in one round trip, and records that are removed in one.
BATCH: Final = 64


class Outcome(StrEnum):
    """What became of one record."""

    QUEUED = "queued"
    DUPLICATE = "duplicate"
    DOUBTFUL = "doubtful"
    UNKNOWN = "unknown-version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One record, checked again."""

    entry: Entry
    outcome: Outcome
    event_id: str | None = None
    verdict: str | None = None
    """Today's; None for a record that cannot be read."""
    reason: str | None = None
    """Today's."""


class EventQueue(Protocol):
    """Where events go. One result an envelope: True new, False seen before, or why it could not be written."""

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> Sequence[bool | QueueUnavailableError]:
        """Write them in order; ``now`` in Unix seconds."""


class Records(Protocol):
    """Where records are taken out."""

    async def remove(self, entry_ids: Sequence[str]) -> Any:
        """Take out those that are still there."""


class Judge(Protocol):
    """Says what to believe of a callback."""

    def verify(self, callback: Callback, *, now: float) -> Verification:
        """The verdict at Unix time ``now``."""


@dataclass(slots=True, kw_only=True)
class Recheck:
    """One run over the quarantine.

    Args:
        judge: Verifies with today's configuration.
        accounts: Whose lanes events go to.
        queue: Where what passes goes.
        records: Where it is removed afterwards.
        tell: Hears of each record as soon as its outcome is certain.
        clock: Unix seconds.
    """

    judge: Judge
    accounts: Accounts
    queue: EventQueue
    records: Records
    tell: Callable[[Finding], None]
    clock: Callable[[], float]
    _passed: list[tuple[Entry, Envelope, str]] = field(default_factory=list)

    async def run(self, entries: AsyncIterable[Entry]) -> None:
        """Check all entries, which come in order of arrival.

        Raises:
            QueueUnavailableError: Redis did not confirm an event or a removal; what was told until then is certain.
        """
        async for entry in entries:
            if entry.record is None:
                self.tell(Finding(entry=entry, outcome=Outcome.UNKNOWN))
            else:
                self._check(entry, entry.record)
            if len(self._passed) == BATCH:
                await self._settle()
        await self._settle()

    def _check(self, entry: Entry, record: QuarantineRecord) -> None:
        callback = callback_of(record)
        found = self.judge.verify(callback, now=record.received_at)
        if found.verdict is not Verdict.VERIFIED:
            outcome = Outcome.DOUBTFUL
            self.tell(Finding(entry=entry, outcome=outcome, verdict=found.verdict.value, reason=found.reason))
            return
        envelope = build_envelope(callback, found, accounts=self.accounts, trace=record.trace or None)
        self._passed.append((entry, envelope, found.reason))

    async def _settle(self) -> None:
        """Queue the batch, then remove what the queue confirmed."""
        batch, self._passed = self._passed, []
        results = await self.queue.enqueue([envelope for _, envelope, _ in batch], now=self.clock()) if batch else []
        settled = [(one, new) for one, new in zip(batch, results, strict=True) if isinstance(new, bool)]
        await self.records.remove([entry.id for (entry, _, _), _ in settled])
        for (entry, envelope, reason), new in settled:
            self.tell(_passed(entry, envelope, reason, new=new))
        for result in results:
            if isinstance(result, QueueUnavailableError):
                raise result


def _passed(entry: Entry, envelope: Envelope, reason: str, *, new: bool) -> Finding:
    return Finding(
        entry=entry,
        outcome=Outcome.QUEUED if new else Outcome.DUPLICATE,
        event_id=envelope.id,
        verdict=Verdict.VERIFIED.value,
        reason=reason,
    )


def callback_of(record: QuarantineRecord) -> Callback:
    """The request as it arrived."""
    return Callback(
        method=record.method,
        path=record.path,
        query=record.query,
        content_type=record.content_type,
        authorization=record.authorization,
        body=record.body,
        received_at=record.received_at,
    )
