"""Run ``ackfirst quarantine recheck``: verify again, queue what passes, and only then remove its record.

May be killed at any instant and run again: an event that is queued already is a duplicate, and its record goes then.
"""

import heapq
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from redis.asyncio import Redis

from ackfirst.shared.accounts import Accounts
from ackfirst.shared.errors import QueueUnavailableError
from ackfirst.shared.nexmo.callback import Callback
from ackfirst.shared.policy import Verdict
from ackfirst.shared.quarantine.review import Entry, QuarantineReview
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.queue import keys
from ackfirst.shared.queue.dedupe import DEDUPE_SECONDS, PERIODS, period, place
from ackfirst.shared.queue.enqueue import Enqueuer
from ackfirst.shared.queue.envelope import Envelope
from ackfirst.shared.queue.envelope_builder import build_envelope
from ackfirst.shared.redis.client import FAILURES
from ackfirst.shared.settings import Settings
from ackfirst.shared.verification import Verification, Verifier

#: Events in one round trip, and records that are removed in one.
BATCH: Final = 64

#: Entries that are held back to sort them. Ingest writes records side by side, so each may stand a few places from
#: where it belongs.
SORT_WINDOW: Final = 128


class Outcome(StrEnum):
    """The result of rechecking one record."""

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
    """Queues events."""

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> Sequence[bool | QueueUnavailableError]:
        """Write events in order; ``now`` in Unix seconds.

        Returns for each: True if it is new, False if it was seen before, or why it could not be written.
        """


class Records(Protocol):
    """Removes records."""

    async def remove(self, entry_ids: Sequence[str]) -> Any:
        """Remove those that are still there."""


class Judge(Protocol):
    """Verifies callbacks."""

    def verify(self, callback: Callback, *, now: float) -> Verification:
        """Verify a callback as of the Unix time ``now``."""


@dataclass(slots=True, kw_only=True)
class Recheck:
    """One run over the quarantine.

    Args:
        judge: Verifies with today's configuration.
        accounts: Decides the lane of an event.
        queue: Takes the events that pass.
        records: Where their records are removed afterwards.
        report: Called for each record as soon as its outcome is certain.
        clock: Unix seconds.
    """

    judge: Judge
    accounts: Accounts
    queue: EventQueue
    records: Records
    report: Callable[[Finding], None]
    clock: Callable[[], float]
    _passed: list[tuple[Entry, Envelope, str]] = field(default_factory=list)

    async def run(self, entries: AsyncIterable[Entry]) -> None:
        """Check all entries, which come in order of arrival.

        Raises:
            QueueUnavailableError: Redis did not confirm an event or a removal; what was reported until then is certain.
        """
        async for entry in entries:
            if entry.record is None:
                self.report(Finding(entry=entry, outcome=Outcome.UNKNOWN))
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
            self.report(Finding(entry=entry, outcome=outcome, verdict=found.verdict.value, reason=found.reason))
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
            outcome = Outcome.QUEUED if new else Outcome.DUPLICATE
            verdict = Verdict.VERIFIED.value
            self.report(Finding(entry=entry, outcome=outcome, event_id=envelope.id, verdict=verdict, reason=reason))
        for result in results:
            if isinstance(result, QueueUnavailableError):
                raise result


async def recheck_entries(
    redis: Redis,
    settings: Settings,
    accounts: Accounts,
    entries: AsyncIterable[Entry],
    report: Callable[[Finding], None],
    *,
    dry_run: bool,
) -> None:
    """Check entries, oldest first, with today's accounts; with ``dry_run`` write nothing.

    Raises:
        QueueUnavailableError: As ``Recheck.run``.
    """
    queue: EventQueue = DryRunQueue(redis, dedupe_seconds=DEDUPE_SECONDS)
    records: Records = DryRunRecords()
    if not dry_run:
        enqueuer = Enqueuer(redis, settings.job_options, dedupe_seconds=DEDUPE_SECONDS)
        await enqueuer.prepare()
        queue, records = enqueuer, QuarantineReview(redis)
    judge = verifier(settings, accounts)
    run = Recheck(judge=judge, accounts=accounts, queue=queue, records=records, report=report, clock=time.time)
    await run.run(by_arrival(entries))


def verifier(settings: Settings, accounts: Accounts) -> Verifier:
    """Make the verifier that ingest would have with these accounts."""
    return Verifier(accounts, max_age=settings.max_age)


def callback_of(record: QuarantineRecord) -> Callback:
    """Rebuild the request as it arrived."""
    return Callback(
        method=record.method,
        path=record.path,
        query=record.query,
        content_type=record.content_type,
        authorization=record.authorization,
        body=record.body,
        received_at=record.received_at,
    )


async def by_arrival(entries: AsyncIterable[Entry], *, window: int = SORT_WINDOW) -> AsyncIterator[Entry]:
    """Sort entries by the time at which their callbacks arrived; those that cannot be read, by when they were added.

    An entry that stands no more than ``window`` places from where it belongs gets there.
    """
    held: list[tuple[float, int, Entry]] = []
    place = 0
    async for entry in entries:
        arrived = entry.parked_at if entry.record is None else entry.record.received_at
        heapq.heappush(held, (arrived, place, entry))
        place += 1
        if len(held) > window:
            yield heapq.heappop(held)[-1]
    while held:
        yield heapq.heappop(held)[-1]


class DryRunQueue:
    """The queue of ``--dry-run``: says what the real one would answer, and writes nothing."""

    def __init__(self, redis: Redis, *, dedupe_seconds: int) -> None:
        self._redis = redis
        self._period = period(dedupe_seconds)
        self._seen: set[str] = set()

    async def enqueue(self, envelopes: Sequence[Envelope], *, now: float) -> list[bool]:  # noqa: ARG002 - the queue's signature
        """Return True for each event that would be new.

        Raises:
            QueueUnavailableError: Redis did not answer.
        """
        try:
            seconds, _ = await self._redis.time()
            current = int(seconds) // self._period
            async with self._redis.pipeline(transaction=False) as pipeline:
                for envelope in envelopes:
                    bucket, member = place(envelope.id)
                    pipeline.exists(keys.job(envelope.id))
                    for number in range(current - PERIODS, current + 2):
                        pipeline.sismember(keys.seen(self._period, number, bucket), member)
                answers = await pipeline.execute()
        except FAILURES as error:
            raise QueueUnavailableError(f"Redis did not say which events it knows: {error}") from error
        per_event = PERIODS + 3
        known = [any(answers[start : start + per_event]) for start in range(0, len(answers), per_event)]
        new = []
        for envelope, is_known in zip(envelopes, known, strict=True):
            new.append(not is_known and envelope.id not in self._seen)
            self._seen.add(envelope.id)
        return new


class DryRunRecords:
    """The records of ``--dry-run``: removes none."""

    async def remove(self, entry_ids: Sequence[str]) -> None:
        """Leave them all."""
