"""Compare Nexmo's records of messages with ours: what we never saw, and what it does not list."""

import sqlite3
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from ackfirst.ops.nexmo_api.records import Direction, ReportProduct
from ackfirst.ops.record.live import LiveQueue, pages
from ackfirst.ops.record.quarantined import quarantined_messages
from ackfirst.ops.record.reports import ProviderRecord
from ackfirst.shared.nexmo.family import Family
from ackfirst.shared.nexmo.status import status_rank
from ackfirst.shared.record import named_record
from ackfirst.shared.store import Store
from ackfirst.shared.store.rows import Cursor, EventFilter, EventRow, Gap, Request

#: Events of one message that are looked at, and events of a query.
_MOST_EVENTS: Final = 50
_PAGE: Final = 500
#: Near the ends of a file, in seconds, a message may be in the report before or after it. A status may come days after
#: its message; nearly all come within the hour.
EDGE_SECONDS: Final = 3_600.0

#: Product and direction → the family of the callbacks about such a message.
FAMILIES: Final[dict[tuple[ReportProduct, Direction], Family]] = {
    ("MESSAGES", "inbound"): Family.INBOUND_MESSAGE,
    ("MESSAGES", "outbound"): Family.MESSAGE_STATUS,
    ("SMS", "inbound"): Family.INBOUND_SMS,
    ("SMS", "outbound"): Family.DELIVERY_RECEIPT,
}


class Verdict(StrEnum):
    """The kinds of difference between the two records."""

    MISSING = "missing"
    """Nexmo has it, and we never had a callback about it."""
    BEHIND = "behind"
    """Nexmo has a later status than the last one that we heard of."""
    QUARANTINED = "quarantined"
    """Its callback waits in quarantine."""
    UNRECORDED = "unrecorded"
    """Its callback was queued, and is not in the record: a gap, or the record is behind."""
    UNLISTED = "unlisted"
    """We have an event of it, and Nexmo does not list it."""


@named_record
class Difference:
    """One message that is not the same on both sides."""

    verdict: Verdict
    message_id: str
    product: ReportProduct
    direction: Direction
    at: float
    """When Nexmo received the message; of ``UNLISTED`` when we received the event."""
    status: str | None
    """Nexmo's; of ``UNLISTED`` that of the event."""
    seen: str | None = None
    """The last status that we heard of."""
    event_id: str | None = None
    account: str | None = None
    reason: str | None = None


@named_record
class Span:
    """The messages that are compared."""

    kinds: Sequence[tuple[ReportProduct, Direction]]
    account: str | None
    """None: every account."""
    since: float
    until: float

    def has(self, record: ProviderRecord) -> bool:
        """Return whether a record of Nexmo's belongs to it."""
        is_of_kind = (record.product, record.direction) in self.kinds
        return is_of_kind and self.account in (None, record.account) and self.since <= record.at < self.until


class Reconciliation:
    """Compares record by record. Memory is bounded: what Nexmo listed is kept in a temporary file, ids only."""

    def __init__(self, store: Store, live: LiveQueue, gaps: Sequence[Gap]) -> None:
        self._store = store
        self._live = live
        self._gaps = gaps
        self.compared = 0
        """Records of Nexmo that were compared."""
        self.events = 0
        """Events of ours that were compared."""
        self.skipped = 0
        """Events of ours near the ends of a file."""
        self.notes: list[str] = []
        self._quarantined: dict[str, Request] | None = None
        self._first = float("inf")
        self._last = float("-inf")

    async def missing(self, records: AsyncIterable[ProviderRecord], listed: "ListedIds") -> AsyncIterator[Difference]:
        """Yield what Nexmo has and we do not, and note in ``listed`` what Nexmo has."""
        async for record in records:
            listed.add(record)
            self.compared += 1
            self._first, self._last = min(self._first, record.at), max(self._last, record.at)
            if (difference := self._compare(record)) is not None:
                yield difference

    def unlisted(self, span: "Span", listed: "ListedIds") -> Iterator[Difference]:
        """Yield our events of a span that Nexmo does not list."""
        for product, direction in span.kinds:
            family = FAMILIES[product, direction]
            wanted = EventFilter(since=span.since, until=span.until, family=family.value, account=span.account)
            for event in self._events(wanted):
                self.events += 1
                if event.message_id is None or listed.has(event.message_id, product, direction):
                    continue
                yield Difference(
                    verdict=Verdict.UNLISTED,
                    message_id=event.message_id,
                    product=product,
                    direction=direction,
                    at=event.received_at,
                    status=event.status,
                    event_id=event.event_id,
                    account=event.account,
                )

    def is_near_the_end(self, difference: Difference) -> bool:
        """Return True for an event whose message may be in the report before or after the one that was read."""
        at = difference.at
        if difference.direction == "outbound":
            at = min((event.received_at for event in self._of_message(difference.message_id)), default=at)
        near = not self._first + EDGE_SECONDS <= at <= self._last + EDGE_SECONDS
        self.skipped += near
        return near

    def _compare(self, record: ProviderRecord) -> Difference | None:
        family = FAMILIES[record.product, record.direction]
        events = [event for event in self._of_message(record.message_id) if event.family == family.value]
        if not events:
            verdict, reason = self._elsewhere(record, family)
            return _difference(record, verdict, reason=reason)
        newest = max(events, key=lambda event: status_rank(event.status))
        if record.direction == "outbound" and status_rank(record.status) > status_rank(newest.status):
            return _difference(record, Verdict.BEHIND, seen=newest.status)
        return None

    def _of_message(self, message_id: str) -> list[EventRow]:
        return [row for row in self._store.message(message_id, limit=_MOST_EVENTS) if row.message_id == message_id]

    def _elsewhere(self, record: ProviderRecord, family: Family) -> tuple[Verdict, str | None]:
        """Look for a message that is not in the record in quarantine and in the memory of the queue."""
        try:
            if self._quarantined is None:
                self._quarantined = quarantined_messages(self._live.redis, self.notes)
            held = self._quarantined.get(record.message_id)
            if held is not None and held.family == family.value:
                return Verdict.QUARANTINED, f"{held.verdict}: {held.reason}"
            letter = f"{family.facts.letter}-"
            ids = [one for one in self._live.events_of(record.message_id) if one.startswith(letter)]
            if self._live.look(ids) or self._live.seen(ids):
                return Verdict.UNRECORDED, self._gap(record.at)
        except RedisError as error:
            self._quarantined = self._quarantined or {}
            if not self.notes:
                self.notes.append(f"Redis does not answer ({error}): quarantine and queue were not looked at")
        return Verdict.MISSING, self._gap(record.at)

    def _gap(self, at: float) -> str | None:
        inside = any(gap.from_at - EDGE_SECONDS <= at <= gap.to_at for gap in self._gaps)
        return "the record has a gap at that time" if inside else None

    def _events(self, wanted: EventFilter) -> Iterator[EventRow]:
        after: Cursor | None = None
        while True:
            page = self._store.events(wanted, after=after, limit=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = Cursor(page[-1].received_at, page[-1].event_id)


class ListedIds:
    """The messages that Nexmo lists, in a temporary file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("CREATE TABLE listed (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, record: ProviderRecord) -> None:
        """Note a message."""
        name = _listed_name(record.message_id, record.product, record.direction)
        self._connection.execute("INSERT OR IGNORE INTO listed VALUES (?)", (name,))

    def has(self, message_id: str, product: ReportProduct, direction: Direction) -> bool:
        """Return whether it was noted."""
        name = _listed_name(message_id, product, direction)
        return self._connection.execute("SELECT 1 FROM listed WHERE id = ?", (name,)).fetchone() is not None


@contextmanager
def listed_ids() -> Iterator[ListedIds]:
    """Make the temporary file, and remove it at the end."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ackfirst-reconcile-"))
        connection = sqlite3.connect(Path(folder) / "listed.db", isolation_level=None)
        stack.enter_context(closing(connection))
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        yield ListedIds(connection)


async def known_after_all(
    differences: Iterable[Difference], find: Callable[[Sequence[Difference]], AsyncIterator[str]]
) -> AsyncIterator[Difference]:
    """Yield the differences whose messages Nexmo does not know either when it is asked by id, a page a time.

    A message that was sent before the span has callbacks within it.
    """
    for page in pages(differences, 100):
        known = {message_id async for message_id in find(page)}
        for difference in page:
            if difference.message_id not in known:
                yield difference


def kinds_of(product: str | None, direction: str | None) -> list[tuple[ReportProduct, Direction]]:
    """List the products and directions that are compared; None: both."""
    return [kind for kind in FAMILIES if product in (None, kind[0]) and direction in (None, kind[1])]


def _difference(
    record: ProviderRecord, verdict: Verdict, *, seen: str | None = None, reason: str | None = None
) -> Difference:
    return Difference(
        verdict=verdict,
        message_id=record.message_id,
        product=record.product,
        direction=record.direction,
        at=record.at,
        status=record.status,
        seen=seen,
        account=record.account,
        reason=reason,
    )


def _listed_name(message_id: str, product: ReportProduct, direction: Direction) -> str:
    return f"{product} {direction} {message_id}"
