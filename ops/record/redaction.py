"""Take a person's data out of everything that is kept here: spool, quarantine, jobs in Redis, the record."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

from ackfirst.ops.nexmo_api.records import Transaction
from ackfirst.ops.quarantine.recheck import callback_of
from ackfirst.ops.record.redact_queue import JobRedactor
from ackfirst.ops.record.redact_spool import redact_spool
from ackfirst.ops.record.redacted import Person, keyed_hash
from ackfirst.ops.record.sources import Sources
from ackfirst.shared.errors import QueueUnavailableError, StoreUnavailableError
from ackfirst.shared.nexmo.classify import classify, message_id
from ackfirst.shared.nexmo.family import Family, Product
from ackfirst.shared.nexmo.normalise import normalise
from ackfirst.shared.nexmo.reading import read
from ackfirst.shared.plural import plural
from ackfirst.shared.quarantine.review import QuarantineReview
from ackfirst.shared.quarantine.stream import QuarantineRecord
from ackfirst.shared.queue import keys
from ackfirst.shared.redis import client as redis_client
from ackfirst.shared.store import Store
from ackfirst.shared.store.rows import Arrival, Cursor, EventFilter, EventRow

#: Seconds for which the recorder is waited for: what it has read and not written yet would come back.
RECORDER_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 0.2
_PAGE: Final = 500
_MOST_EVENTS: Final = 1_000

_INBOUND: Final = frozenset({Family.INBOUND_MESSAGE.value, Family.INBOUND_SMS.value})


@dataclass(frozen=True, slots=True)
class Place:
    """The result of the redaction of one place."""

    name: str
    redacted: int = 0
    """Events, or records of the quarantine."""
    unreached: str | None = None
    """What was left there, and why: a sentence for the operator."""


class Redaction:
    """Redacts one person, place by place, in the order in which events move on. Safe to repeat."""

    def __init__(self, sources: Sources, person: Person, key: bytes, *, dry_run: bool) -> None:
        self._sources = sources
        self._person = person
        self._key = key
        self._dry_run = dry_run
        self.transactions: set[Transaction] = set()
        """The messages that were found, for Nexmo."""

    def run(self) -> Iterator[Place]:
        """Redact each place, and say what was done there."""
        yield from self._spool()
        yield self._attempt("quarantine", self._quarantine)
        yield self._attempt("queue", self._queue)
        yield self._attempt("record", self._record)

    def _attempt(self, name: str, work: Callable[[], Place]) -> Place:
        try:
            return work()
        except (RedisError, QueueUnavailableError) as error:
            return Place(name, unreached=f"Redis does not answer: {error}")
        except StoreUnavailableError as error:
            return Place(name, unreached=str(error))

    def _spool(self) -> Iterator[Place]:
        try:
            for done in redact_spool(
                self._sources.settings.data_dir, self._person, self._key, found=self._note, dry_run=self._dry_run
            ):
                yield Place(f"spool {done.folder}", done.records, done.unreached)
        except OSError as error:
            yield Place("spool", unreached=f"the spool cannot be read or written: {error}")

    def _quarantine(self) -> Place:
        return Place("quarantine", asyncio.run(self._quarantine_records()))

    async def _quarantine_records(self) -> int:
        """Remove what is meant: without its text a callback could never be verified."""
        async with _review(self._sources.settings.redis_url.get_secret_value()) as review:
            meant = [
                entry.id
                async for entry in review.oldest_first()
                if entry.record is not None and _is_meant(entry.record, self._person)
            ]
            return len(meant) if self._dry_run else (await review.remove(meant)).records

    def _queue(self) -> Place:
        redactor = JobRedactor(self._sources.redis, self._person, self._key, found=self._note)
        done = redactor.run(dry_run=self._dry_run)
        unreached = f"{plural(done.running, 'event')} still running: run this again" if done.running else None
        return Place("queue", done.jobs, unreached)

    def _record(self) -> Place:
        store = self._sources.store
        if store is None:
            return Place("record", unreached=self._sources.trouble)
        unreached = None if self._dry_run else self._wait_for_recorder(store)
        if self._person.number is not None:
            count = self._note_recorded(store, self._person.number)
            if not self._dry_run:
                count = store.redact(number=self._person.number, key=self._key).events
            return Place("record", count, unreached)
        rows = [row for row in store.message(self._person.text, limit=_MOST_EVENTS) if self._person.is_meant_by(row)]
        for row in rows:
            self._note(row)
        left = [row.event_id for row in rows if row.redacted_at is None]
        count = len(left)
        if left and not self._dry_run:
            count = store.redact(event_ids=left, key=self._key).events
        return Place("record", count, unreached)

    def _note_recorded(self, store: Store, number: str) -> int:
        """Note the messages of a number, also those that were redacted before; return how many events are left."""
        left = 0
        for party in (number, keyed_hash(number, self._key)):
            for wanted in (EventFilter(sender=party), EventFilter(recipient=party)):
                for row in _rows(store, wanted):
                    self._note(row)
                    left += row.redacted_at is None
        return left

    def _wait_for_recorder(self, store: Store) -> str | None:
        """Wait until the record has what the stream holds now: texts in it would be written after the redaction."""
        try:
            rows: Any = self._sources.redis.xrevrange(keys.RECORD, count=1)
        except RedisError as error:
            return f"Redis does not answer ({error}), and what the record writes later may hold texts: run this again"
        newest = _place(rows[0][0].decode()) if rows else (0, 0)
        deadline = time.monotonic() + RECORDER_SECONDS
        while _place(store.position()) < newest:
            if time.monotonic() >= deadline:
                return "the record is behind, and what it writes later may hold texts: run this again"
            time.sleep(_LOOK_SECONDS)
        return None

    def _note(self, arrival: Arrival) -> None:
        if arrival.message_id is None or arrival.family not in set(Family):
            return
        is_sms = Family(arrival.family).facts.product is Product.SMS
        self.transactions.add(
            Transaction(
                message_id=arrival.message_id,
                product="sms" if is_sms else "messages",
                direction="inbound" if arrival.family in _INBOUND else "outbound",
                account=arrival.account,
            )
        )


@asynccontextmanager
async def _review(url: str) -> AsyncIterator[QuarantineReview]:
    redis = redis_client.async_redis(url)
    try:
        yield QuarantineReview(redis)
    finally:
        await redis.aclose()


def _is_meant(record: QuarantineRecord, person: Person) -> bool:
    """Return True for a callback from, to or about a person; also for one that holds its number and cannot be read."""
    text = record.body + record.query.encode("utf-8", "surrogatepass")
    if not any(needle in text for needle in person.needles()):
        return False
    reading = read(callback_of(record))
    if reading is None:
        return True
    family = classify(reading)
    event = normalise(
        id="", family=family, reading=reading, account=None, application_id=None, received_at=0.0, raw=b""
    )
    if person.number is not None:
        return person.number in (event.sender, event.recipient)
    return message_id(family, reading.fields) == person.message_id


def _rows(store: Store, wanted: EventFilter) -> Iterator[EventRow]:
    after: Cursor | None = None
    while True:
        page = store.events(wanted, after=after, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = Cursor(page[-1].received_at, page[-1].event_id)


def _place(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds or 0), int(number or 0)
