"""Read events, their attempts and their requests. Every read is bounded."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    TextClause,
    and_,
    exists,
    false,
    func,
    literal_column,
    select,
    tuple_,
)

from ackfirst.shared.nexmo.identity import is_event_id
from ackfirst.shared.store.paging import filtered_page, page, plan_with_values, spans
from ackfirst.shared.store.part import Key, StorePart, at_most, chunks, one_of, rows_of
from ackfirst.shared.store.rows import FINAL_STATES, Attempt, Cursor, EventFilter, EventRow, Request
from ackfirst.shared.store.tables import RARE_STATES, attempts, dead_letters, events, requests
from ackfirst.shared.store.texts import LONGEST_KEY, clean, query_text

#: Most rows of one answer.
MOST_ROWS: Final = 1_000
#: Most attempts and requests of one answer.
MOST_STEPS: Final = 10_000

#: Columns of a listing, which shows no bodies.
_HEAD: Final = [column for column in events.c if column.name not in ("body", "query")]
_EQUAL: Final = (
    *("family", "status", "account", "application_id", "lane", "state"),
    *("sender", "recipient", "message_id", "client_ref"),
)
_INDEXED_STATES: Final = frozenset({"waiting", "retrying", "discarded", "dead", "rejected"})
#: States whose newest attempt has no error to show.
_WITHOUT_ERROR: Final = frozenset({"processed", "unhandled"})


class EventReads(StorePart):
    """Finds events and what belongs to them."""

    def message(self, key: str, limit: int = 100) -> list[EventRow]:
        """Find the events of a message by its UUID, its SMS message id, an event id or a client_ref; newest first."""
        limit, key = min(limit, MOST_ROWS), clean(key, LONGEST_KEY)
        with self._database.reading() as connection:
            # On PostgreSQL each column is looked for in every partition, so the likely ones come first.
            kinds = [(events.c.message_id, events.c.client_ref), (events.c.event_id,)]
            for columns in reversed(kinds) if is_event_id(key) else kinds:
                if rows := _of_keys(connection, columns, key, limit):
                    return _event_rows(connection, rows)
        return []

    def attempts(self, event_ids: Sequence[str]) -> list[Attempt]:
        """List the attempts of events, oldest first, at most 10,000."""
        with self._database.reading() as connection:
            keys = _keys(connection, event_ids)
            rows = [row for some in chunks(keys) for row in _attempts(connection, some)]
        return sorted((_attempt(row) for row in rows), key=lambda row: (row.started, row.number))[:MOST_STEPS]

    def requests(self, event_ids: Sequence[str]) -> list[Request]:
        """List the duplicates and refused callbacks of events, oldest first, at most 10,000."""
        found = []
        with self._database.reading() as connection:
            for some in chunks(_cleaned(event_ids)):
                query = select(requests).where(one_of(connection, requests.c.event_id, some)).order_by(requests.c.at)
                found += [_request(row) for row in connection.execute(at_most(query, MOST_STEPS))]
        return sorted(found, key=lambda row: row.at)[:MOST_STEPS]

    def events(
        self,
        wanted: EventFilter,
        *,
        after: Cursor | None = None,
        before: Cursor | None = None,
        limit: int = 50,
        bodies: bool = False,
    ) -> list[EventRow]:
        """List a page of events, newest first: those that follow ``after``, or those in front of ``before``.

        Without ``bodies`` the rows have neither body nor query: a page of them may be a gigabyte.
        """
        query = filtered(select(*(events.c if bodies else _HEAD)), wanted)
        place = tuple_(events.c.received_at, events.c.event_id)
        # The time once more on its own: PostgreSQL leaves out partitions by that, and not by the pair.
        if after is not None:
            query = query.where(place < tuple_(after.at, after.id), events.c.received_at <= after.at)
        if before is not None:
            query = query.where(place > tuple_(before.at, before.id), events.c.received_at >= before.at)
        backwards = before is not None and after is None
        edge = before if after is None else after
        start = wanted.until if edge is None else edge.at
        with self._database.reading() as connection:
            rows = filtered_page(connection, query, wanted, min(limit, MOST_ROWS), start=start, oldest_first=backwards)
            return _event_rows(connection, rows[::-1] if backwards else rows)

    def follow(self, wanted: EventFilter, after: Cursor | None, limit: int = 100) -> list[EventRow]:
        """List events in the order in which they were recorded, oldest first, without bodies.

        Nothing is missed, whatever the order of arrivals and commits: there is one writer at a time, and each batch is
        recorded later than the one before. The next ``after`` is the last row's ``recorded_at`` and ``event_id``; None
        begins with the newest events.
        """
        place = tuple_(events.c.recorded_at, events.c.event_id)
        query = filtered(select(*_HEAD), wanted).where(events.c.recorded_at.is_not(None))
        query = at_most(query, min(limit, MOST_ROWS))
        if after is None:
            query = query.order_by(events.c.recorded_at.desc(), events.c.event_id.desc())
        else:
            query = query.where(place > tuple_(after.at, after.id), events.c.recorded_at >= after.at)
            query = query.order_by(events.c.recorded_at, events.c.event_id)
        with self._database.reading() as connection:
            plan_with_values(connection, wanted)
            rows = connection.execute(query).all()
            return _event_rows(connection, rows if after is not None else rows[::-1])

    def resolve(self, wanted: EventFilter, cursor: Cursor | None, limit: int = 100) -> list[EventRow]:
        """List the events that a replay moves next, oldest first, with their bodies."""
        query = filtered(select(events), wanted)
        if cursor is not None:
            place = tuple_(events.c.received_at, events.c.event_id)
            query = query.where(place > tuple_(cursor.at, cursor.id), events.c.received_at >= cursor.at)
        start = wanted.since if cursor is None else cursor.at
        with self._database.reading() as connection:
            if _is_about_letters(wanted):  # among all dead events the first of a cause may be a scan away
                if (start := _oldest_with_letter(connection, wanted, start)) is None:
                    return []
                query = query.where(events.c.received_at >= start)
            rows = filtered_page(connection, query, wanted, min(limit, MOST_ROWS), start=start, oldest_first=True)
            return _event_rows(connection, rows)

    def count(self, wanted: EventFilter, cap: int = 10_000) -> int:
        """Count events, up to a cap: a larger number would be a scan."""
        found = 0
        query = filtered(select(events.c.event_id), wanted)
        with self._database.reading() as connection:
            for span in spans(connection, wanted, wanted.until):
                some = at_most(query.where(*span), cap - found).subquery()
                found += int(connection.execute(select(func.count()).select_from(some)).scalar_one())
                if found >= cap:
                    break
        return found


def filtered(query: Select[Any], wanted: EventFilter) -> Select[Any]:
    """Add the conditions of a filter to a query of events."""
    conditions: list[ColumnElement[bool] | TextClause] = []
    if wanted.since is not None:
        conditions.append(events.c.received_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(events.c.received_at < wanted.until)
    equal = {name: value for name in _EQUAL if (value := getattr(wanted, name)) is not None}
    conditions += [events.c[name] == clean(value, LONGEST_KEY) for name, value in equal.items()]
    if wanted.state in _INDEXED_STATES:
        conditions.append(RARE_STATES)  # SQLite uses the index only if the query says the same
    if _is_about_letters(wanted):
        conditions.append(_has_letter(wanted))
    elif wanted.handler is not None:
        mine = and_(attempts.c.received_at == events.c.received_at, attempts.c.event_id == events.c.event_id)
        runs = select(attempts.c.handler).where(mine, attempts.c.handler == clean(wanted.handler, LONGEST_KEY))
        # OFFSET keeps PostgreSQL from joining all attempts: it looks for those of each event of the page instead.
        conditions.append(exists(runs.correlate(events).limit(literal_column("1")).offset(literal_column("0"))))
    return query.where(*conditions)


def filtered_whole(connection: Connection, query: Select[Any], wanted: EventFilter) -> Select[Any]:
    """Add the conditions of a filter to a query of all its events.

    A filter names when letters died, but events are found by when they were received: the letters tell between which
    times that was.
    """
    if _is_about_letters(wanted):
        received = dead_letters.c.received_at
        ends = connection.execute(select(func.min(received), func.max(received)).where(*_letters(wanted))).one()
        if ends[0] is None:
            return query.where(false())
        query = query.where(events.c.received_at.between(*ends))
    return filtered(query, wanted)


def _is_about_letters(wanted: EventFilter) -> bool:
    of_letter = (wanted.error_type, wanted.died_since, wanted.died_until)
    return of_letter != (None, None, None) or (wanted.handler is not None and wanted.state == "dead")


def _letters(wanted: EventFilter) -> list[ColumnElement[bool]]:
    """Make the conditions that a filter has for dead letters."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.handler is not None:
        conditions.append(dead_letters.c.handler == clean(wanted.handler, LONGEST_KEY))
    if wanted.error_type is not None:
        conditions.append(dead_letters.c.error_type == clean(wanted.error_type, LONGEST_KEY))
    if wanted.died_since is not None:
        conditions.append(dead_letters.c.dead_at >= wanted.died_since)
    if wanted.died_until is not None:
        conditions.append(dead_letters.c.dead_at < wanted.died_until)
    return conditions


def _has_letter(wanted: EventFilter) -> ColumnElement[bool]:
    mine = (dead_letters.c.received_at == events.c.received_at, dead_letters.c.event_id == events.c.event_id)
    return exists().where(*mine, *_letters(wanted))


def _oldest_with_letter(connection: Connection, wanted: EventFilter, since: float | None) -> float | None:
    """Find when the oldest event with such a letter was received, at or after a time; None: there is none."""
    received = dead_letters.c.received_at
    query = select(received).where(*_letters(wanted), *([received >= since] if since is not None else []))
    return connection.execute(at_most(query.order_by(received), 1)).scalar()


def _of_keys(connection: Connection, columns: Sequence[Column[Any]], key: str, limit: int) -> list[Row[Any]]:
    """Find the events that have a key in one of some columns, newest first."""
    found: dict[Key, Row[Any]] = {}
    for column in columns:
        rows = page(connection, select(events).where(column == key), limit)
        found |= {(row.received_at, row.event_id): row for row in rows}
    return [found[one] for one in sorted(found, reverse=True)[:limit]]


def _cleaned(event_ids: Sequence[str]) -> list[str]:
    return sorted({clean(event_id, LONGEST_KEY) for event_id in event_ids})


def _keys(connection: Connection, event_ids: Sequence[str]) -> list[Key]:
    """Look up the times of events: the keys of all other tables begin with them."""
    found: list[Key] = []
    for some in chunks(_cleaned(event_ids)):
        query = select(events.c.received_at, events.c.event_id).where(one_of(connection, events.c.event_id, some))
        found += [(row.received_at, row.event_id) for row in connection.execute(at_most(query, MOST_STEPS))]
    return sorted(found)


def _attempts(connection: Connection, keys: Sequence[Key]) -> Sequence[Row[Any]]:
    query = rows_of(connection, attempts, keys).order_by(attempts.c.started)
    return connection.execute(at_most(query, MOST_STEPS)).all()


def _event_rows(connection: Connection, rows: Sequence[Row[Any]]) -> list[EventRow]:
    """Make the rows, and add the error of the newest attempt where there may be one."""
    keys = [(row.received_at, row.event_id) for row in rows if row.state not in _WITHOUT_ERROR and row.attempts]
    errors: dict[Key, str | None] = {}
    for some in chunks(keys):
        for row in _attempts(connection, some):
            text = ": ".join(part for part in (row.error_type, row.message) if part)
            errors[row.received_at, row.event_id] = text or None
    return [_event_row(row, errors.get((row.received_at, row.event_id))) for row in rows]


def _event_row(row: Row[Any], error: str | None) -> EventRow:
    values = dict(row._mapping)  # noqa: SLF001 - the documented way to a row's names
    values["body"] = bytes(values.get("body") or b"")
    values["query"] = query_text(values.get("query"))
    for name in ("family", "encoding", "content_type"):
        values[name] = values[name] or ""
    ended_at = row.state_at if row.state in FINAL_STATES else None
    return EventRow(**values, error=error, ended_at=ended_at)


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(**row._mapping)  # noqa: SLF001 - the documented way to a row's names


def _request(row: Row[Any]) -> Request:
    return Request(**row._mapping)  # noqa: SLF001 - the documented way to a row's names
