"""Connect to the database of the record, and turn every trouble of its drivers into ``StoreUnavailableError``."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from ackfirst.shared.errors import ConfigurationError, StoreUnavailableError
from ackfirst.shared.private_folder import make_private_folder

#: Longest wait for another process's lock on the SQLite file.
LOCK_SECONDS: Final = 5.0
#: Connections of one process.
POOL_SIZE: Final = 5

#: ``synchronous=FULL``: what the recorder has been told is committed may be trimmed from Redis, so a loss of power must
#: not take it. ``secure_delete=FAST`` overwrites deleted rows where that costs no further write.
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA cache_size=-32000",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA wal_autocheckpoint=4000",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA secure_delete=FAST",
)

#: A server that has vanished without a word is given up after about half a minute, instead of never.
_POSTGRESQL_OPTIONS: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "ackfirst",
}


class Database:
    """An engine with its pool. Safe to share between threads; each transaction uses a connection of its own."""

    def __init__(self, url: str) -> None:
        """Take the URL; connects at the first transaction.

        Raises:
            ConfigurationError: It is not a URL of SQLite or PostgreSQL.
        """
        self.url = _parsed(url)
        self.is_postgresql = self.url.get_backend_name() == "postgresql"
        self.file = None if self.is_postgresql else Path(self.url.database or "").absolute()
        self.engine = self._postgresql() if self.is_postgresql else self._sqlite()

    @property
    def shown(self) -> str:
        """The address without its password."""
        return self.url.render_as_string(hide_password=True).replace("postgresql+psycopg", "postgresql")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads.

        Raises:
            StoreUnavailableError: The database does not answer.
        """
        with self._translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes: committed at the end of the block, rolled back when it raises.

        Raises:
            StoreUnavailableError: The database does not answer, or does not take the write.
        """
        writing = self.engine.execution_options(ackfirst_writes=True)
        with self._translated(), writing.begin() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
            said = str(cause).strip().partition("\n")[0]
            raise StoreUnavailableError(
                f"the record at {self.shown} does not answer: {said}, check ACKFIRST_STORE_URL and its server"
            ) from None  # the driver's own message may quote the rows that it could not write

    def close(self) -> None:
        """Close the connections that are not in use."""
        self.engine.dispose()

    def _postgresql(self) -> Engine:
        return create_engine(
            self.url,
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            pool_pre_ping=True,
            connect_args=_POSTGRESQL_OPTIONS,
            hide_parameters=True,
        )

    def _sqlite(self) -> Engine:
        engine = create_engine(
            self.url,
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            connect_args={"timeout": LOCK_SECONDS},
            hide_parameters=True,
        )

        @event.listens_for(engine, "connect")
        def configure(connection: sqlite3.Connection, _record: Any) -> None:
            # The driver's own transactions begin late, and never as writers: two would deadlock on the upgrade.
            connection.isolation_level = None
            for pragma in _PRAGMAS:
                connection.execute(pragma)

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            writes = connection.get_execution_options().get("ackfirst_writes")
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        return engine

    def make_file(self) -> None:
        """Make the SQLite file and its folder, for their owner only. SQLite gives its side files the same rights."""
        if self.file is None or self.file.exists():
            return
        try:
            make_private_folder(self.file.parent)
            os.close(os.open(self.file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreUnavailableError(
                f"cannot make the record's file {self.file}: {error.strerror}, check ACKFIRST_STORE_URL"
            ) from error


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError("ACKFIRST_STORE_URL is not a URL: sqlite:///path, postgresql://… or off") from error
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed.set(drivername="sqlite")
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigurationError(
        f"ACKFIRST_STORE_URL cannot be {parsed.render_as_string(hide_password=True)}: "
        "use sqlite:///path, postgresql://… or off"
    )
