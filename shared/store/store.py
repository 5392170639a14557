"""The record's store: one object for everything that is written to it and read from it."""

from types import TracebackType
from typing import Self

from ackfirst.shared.store import schema
from ackfirst.shared.store.database import CACHE_KIB, Database
from ackfirst.shared.store.dead_letters import DeadLetters
from ackfirst.shared.store.operations import Operations
from ackfirst.shared.store.reading import EventReads
from ackfirst.shared.store.recording import Recording
from ackfirst.shared.store.redaction import Redaction
from ackfirst.shared.store.retention import Retention
from ackfirst.shared.store.statistics import Statistics


class Store(Recording, EventReads, DeadLetters, Statistics, Operations, Retention, Redaction):
    """The record of every event, on SQLite or PostgreSQL.

    Each method is one transaction or a series of small ones, and raises ``StoreUnavailableError`` when the database
    does not answer. Safe to share between threads.
    """

    @property
    def shown(self) -> str:
        """The address of the database without its password."""
        return self._database.shown

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_store(url: str, *, migrate: bool = False, cache_kib: int = CACHE_KIB) -> Store:
    """Open the store at a URL: ``sqlite:///path`` or ``postgresql://…``.

    With ``migrate`` missing tables are made and older ones changed first; only the recorder does that.
    ``cache_kib`` is the memory of each connection of SQLite for pages of the file.

    Raises:
        ConfigurationError: The URL is wrong, or the tables are missing, older or newer than this version.
        StoreUnavailableError: No such server, or it does not answer; a ConfigurationError as well.
    """
    database = Database(url, schema.migrate if migrate else schema.check, cache_kib=cache_kib)
    try:
        database.prepare()
    except BaseException:
        database.close()
        raise
    return Store(database)
