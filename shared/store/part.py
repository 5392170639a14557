"""Define what the parts of ``Store`` share: the database, upserts, and lists of keys."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Double,
    Select,
    Table,
    Text,
    and_,
    any_,
    func,
    literal,
    literal_column,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

from ackfirst.shared.store.database import Database

#: Keys in one statement. SQLite takes 32,766 parameters, and a key has two.
KEYS_AT_ONCE: Final = 1_000

Item = TypeVar("Item")
#: ``received_at`` and ``event_id``: the key of an event.
Key = tuple[float, str]


class StorePart:
    """One family of the store's methods."""

    def __init__(self, database: Database) -> None:
        self._database = database


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Begin an INSERT that may have ON CONFLICT."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def rows_of(connection: Connection, table: Table, keys: Iterable[Key], *columns: Column[Any]) -> Select[Any]:
    """Select the rows of some events, at most ``KEYS_AT_ONCE`` of them.

    On PostgreSQL as a join with two arrays: it looks into one partition for each key, where a list of pairs would be
    looked for in every partition; and it is one statement whatever the number of keys, which is planned once.
    """
    wanted = sorted(set(keys))
    times, ids = [key[0] for key in wanted], [key[1] for key in wanted]
    query = select(*(columns or table.c)).select_from(table)
    if connection.dialect.name != "postgresql":
        # SQLite uses the index for the lists, not for the pairs.
        pairs = tuple_(table.c.received_at, table.c.event_id).in_(wanted)
        return query.where(table.c.received_at.in_(times), table.c.event_id.in_(ids), pairs)
    arrays = literal(times, ARRAY(Double)), literal(ids, ARRAY(Text))
    given = func.unnest(*arrays).table_valued("received_at", "event_id").render_derived("wanted")
    same = and_(table.c.received_at == given.c.received_at, table.c.event_id == given.c.event_id)
    return query.join(given, same)


def one_of(connection: Connection, column: Column[Any], values: Sequence[str]) -> ColumnElement[bool]:
    """Match a text with some values: one statement on PostgreSQL, whatever their number."""
    if connection.dialect.name != "postgresql":
        return column.in_(values)
    return column == any_(literal(list(values), ARRAY(Text)))


def at_most(query: Select[Any], rows: int) -> Select[Any]:
    """Limit a query by a number in its text: without it PostgreSQL plans for a tenth of all rows."""
    return query.limit(literal_column(str(int(rows))))


def chunks(items: Sequence[Item], size: int = KEYS_AT_ONCE) -> Iterator[Sequence[Item]]:
    """Cut a list into pieces that fit into one statement."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
