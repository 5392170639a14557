"""Define what the parts of ``Store`` share: the database, upserts, and lists of keys."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, tuple_
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


def among(table: Table, keys: Sequence[Key]) -> ColumnElement[bool]:
    """Match the rows of these events."""
    return tuple_(table.c.received_at, table.c.event_id).in_(keys)


def chunks(items: Sequence[Item], size: int = KEYS_AT_ONCE) -> Iterator[Sequence[Item]]:
    """Cut a list into pieces that fit into one statement."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def row_values(row: Any, names: Sequence[str]) -> dict[str, Any]:
    """Copy some of a row's fields."""
    return {name: getattr(row, name) for name in names}
