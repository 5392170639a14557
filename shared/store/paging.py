"""Read pages of events in the order of their time, and have PostgreSQL plan them well over its many partitions."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, literal_column, select

from ackfirst.shared.record import field_names
from ackfirst.shared.store.part import at_most
from ackfirst.shared.store.partitions import DAY_SECONDS
from ackfirst.shared.store.rows import EventFilter
from ackfirst.shared.store.tables import events

#: A search by one of these alone is planned well for any value.
_SELECTIVE: Final = frozenset({"sender", "recipient", "message_id", "client_ref"})
#: PostgreSQL looks for a filtered page in the nearest day, then further away up to the eighth, then in the rest.
_FIRST_DAYS: Final = (1, 8)


def filtered_page(
    connection: Connection,
    query: Select[Any],
    wanted: EventFilter,
    limit: int,
    *,
    start: float | None,
    oldest_first: bool,
) -> Sequence[Row[Any]]:
    """Read the first rows of a filter; ``start`` is where the page begins, None: at the newest or oldest event."""
    rows: list[Row[Any]] = []
    for span in spans(connection, wanted, start, oldest_first=oldest_first):
        rows += page(connection, query.where(*span), limit - len(rows), oldest_first=oldest_first)
        if len(rows) >= limit:
            break
    return rows


def spans(
    connection: Connection, wanted: EventFilter, start: float | None, *, oldest_first: bool = False
) -> Iterator[list[ColumnElement[bool]]]:
    """Yield conditions on the time, in which to search one after the other until there are enough events.

    On PostgreSQL the day and then the week next to ``start``, then the rest: the plan of a search costs half a
    millisecond for each partition that it looks into, and mostly enough is found in the first.
    """
    if not _needs_values(connection, wanted):
        yield []
        return
    if start is None:
        first = page(connection, select(events.c.received_at, events.c.event_id), 1, oldest_first=oldest_first)
        if not first:
            return
        start = first[0].received_at
    plan_with_values(connection, wanted)
    time, sign = events.c.received_at, 1 if oldest_first else -1
    edges = [None, *(start + sign * days * DAY_SECONDS for days in _FIRST_DAYS), None]
    for near, far in pairwise(edges):
        low, high = (near, far) if oldest_first else (far, near)
        yield [*([time >= low] if low is not None else []), *([time < high] if high is not None else [])]


def page(connection: Connection, query: Select[Any], limit: int, *, oldest_first: bool = False) -> Sequence[Row[Any]]:
    """Read the first rows in the order of time and id."""
    places = [events.c.received_at, events.c.event_id]
    time, event_id = places if oldest_first else [place.desc() for place in places]
    if connection.dialect.name != "postgresql":
        return connection.execute(at_most(query.order_by(time, event_id), limit)).all()
    # Ordered by the time alone, which every index has: to sort by the id as well, PostgreSQL would rather read along
    # the primary key, and for the few events of a rare family all others.
    ties = query.order_by(time).fetch(literal_column(str(int(limit))), with_ties=True)
    rows = connection.execute(ties).all()
    return sorted(rows, key=lambda row: (row.received_at, row.event_id), reverse=not oldest_first)[:limit]


def plan_with_values(connection: Connection, wanted: EventFilter) -> None:
    """Have PostgreSQL plan this search with the values of its filter.

    It costs half a millisecond for each partition, but a plan for any value would look for a rare family, status or
    account among all events.
    """
    if _needs_values(connection, wanted):
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")


def _needs_values(connection: Connection, wanted: EventFilter) -> bool:
    if connection.dialect.name != "postgresql":
        return False
    named = {name for name in field_names(EventFilter) if getattr(wanted, name) is not None} - {"since", "until"}
    return bool(named) and not (len(named) == 1 and named <= _SELECTIVE)
