"""Connect to the database of the record, and turn every trouble of its drivers into ``StoreUnavailableError``."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidatePoolError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from ackfirst.shared.errors import ConfigurationError, StoreUnavailableError
from ackfirst.shared.private_folder import make_private_folder

if TYPE_CHECKING:
    import psycopg  # a tenth of a second, for PostgreSQL only: SQLAlchemy imports it there

#: Longest wait for another process's lock on the SQLite file.
LOCK_SECONDS: Final = 5.0
#: Connections of one process.
POOL_SIZE: Final = 5

#: Memory of each connection of SQLite for pages of the file: the recorder writes into all of its indexes.
CACHE_KIB: Final = 65_536

#: ``synchronous=FULL``: what the recorder has been told is committed may be trimmed from Redis, so a loss of power must
#: not take it. ``secure_delete``: what was purged or redacted is overwritten, not only unlinked. Checkpoints at 64 MB:
#: a page that several batches change is written into the file once.
_PRAGMAS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA wal_autocheckpoint=16384",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA secure_delete=ON",
)

#: A server that has vanished without a word is given up after half a minute, instead of never.
_POSTGRESQL_OPTIONS: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "ackfirst",
    # A database made where no locale was set keeps any bytes (SQL_ASCII), and the driver would give us bytes for texts.
    "client_encoding": "utf8",
}
#: No statement of ours takes long, except a search that no index helps: that must end as well.
_TIMEOUTS: Final = "SET statement_timeout = '60s'; SET lock_timeout = '10s'"
#: A search without a time looks into every day. To plan that for 90 partitions takes 40 ms, to run the plan 2 ms: each
#: statement is planned once in a connection, without its values.
_PLANNED_ONCE: Final = "SET plan_cache_mode = force_generic_plan"
#: To compile a plan of 90 partitions, of which one is read, takes half a second.
_NOT_COMPILED: Final = "SET jit = off"
#: Plans that a connection keeps, of up to 2 MB each.
_MOST_PLANS: Final = 40


class Database:
    """An engine with its pool. Safe to share between threads; each transaction uses a connection of its own."""

    def __init__(self, url: str, prepare: "Callable[[Database], None]", *, cache_kib: int = CACHE_KIB) -> None:
        """Take the URL; connects at the first transaction.

        Args:
            url: Of SQLite or PostgreSQL.
            prepare: Makes or checks the tables before the first transaction, and once more when they have vanished:
                a file was removed, a server wiped.
            cache_kib: Memory of each connection of SQLite for pages of the file.

        Raises:
            ConfigurationError: It is not such a URL.
        """
        self._url = _parsed(url)
        self._prepare = prepare
        self._lock = threading.Lock()
        self._preparing_thread: int | None = None
        self._is_prepared = False
        self._identity: tuple[int, int] | None = None
        self.is_postgresql = self._url.get_backend_name() == "postgresql"
        self.file = None if self.is_postgresql else Path(self._url.database or "").absolute()
        self._engine = _postgresql(self._url) if self.file is None else _sqlite(self.file, cache_kib)

    @property
    def shown(self) -> str:
        """The address without its password."""
        return self._url.set(drivername=self._url.get_backend_name()).render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads.

        Raises:
            StoreUnavailableError: The database does not answer.
        """
        self.prepare()
        # Committed: psycopg forgets all prepared statements, and so their plans, when a transaction is rolled back.
        with self._translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes: committed at the end of the block, rolled back when it raises.

        Raises:
            StoreUnavailableError: The database does not answer, or does not take the write.
        """
        self.prepare()
        writing = self._engine.execution_options(ackfirst_writes=True)
        with self._translated(), writing.begin() as connection:
            yield connection

    @contextmanager
    def without_transaction(self) -> Iterator[Connection]:
        """Open a connection on which each statement is a transaction of its own.

        Raises:
            StoreUnavailableError: The database does not answer.
        """
        self.prepare()
        with self._translated(), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def prepare(self) -> None:
        """Make or check the tables, unless that was done and the file is still the same.

        Raises:
            ConfigurationError: The tables are not what this version needs.
            StoreUnavailableError: The database does not answer.
        """
        if self._is_prepared and self._identity == self._find_file():
            return
        if self._preparing_thread == threading.get_ident():
            return  # called by the transactions of ``_prepare``
        with self._lock:
            if self._identity != self._find_file():
                self._engine.dispose()  # its connections would go on writing into the removed file
                self._is_prepared = False
            if not self._is_prepared:
                self._preparing_thread = threading.get_ident()
                try:
                    self._prepare(self)
                finally:
                    self._preparing_thread = None
                self._identity = self._find_file()
                self._is_prepared = True

    def make_file(self) -> None:
        """Make the SQLite file and its folder, for their owner only. SQLite gives its side files the same rights.

        Raises:
            StoreUnavailableError: It cannot be made.
        """
        if self.file is None or self.file.exists():
            return
        try:
            make_private_folder(self.file.parent)
            os.close(os.open(self.file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreUnavailableError(
                f"cannot make the record's file {self.file}: {error.strerror}, check ACKFIRST_STORE_URL"
            ) from error

    def forget_deleted(self) -> None:
        """Bring what was overwritten from SQLite's write-ahead log into its file, and empty the log.

        Raises:
            StoreUnavailableError: The database does not answer.
        """
        if self.file is not None:
            with self._translated(), closing(self._engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._engine.dispose()

    def _find_file(self) -> tuple[int, int] | None:
        if self.file is None:
            return None
        try:
            found = self.file.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error, OSError) as error:
            cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
            if isinstance(error, ProgrammingError) or "no such table" in str(cause):
                self._is_prepared = False
            said = str(cause).strip().partition("\n")[0]
            # Without its cause: the driver's own message may quote the rows that it could not write.
            raise StoreUnavailableError(
                f"the record at {self.shown} does not answer: {said}; check ACKFIRST_STORE_URL and what it names"
            ) from None


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        connect_args=_POSTGRESQL_OPTIONS,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: "psycopg.Connection[Any]", _record: object) -> None:
        connection.execute(f"{_TIMEOUTS}; {_PLANNED_ONCE}; {_NOT_COMPILED}", prepare=False)
        connection.commit()
        connection.prepare_threshold = 0
        connection.prepared_max = _MOST_PLANS

    @event.listens_for(engine, "checkout")
    def ping(connection: "psycopg.Connection[Any]", _record: object, _proxy: object) -> None:
        # After a restart of the server all connections of the pool are dead. SQLAlchemy's own ping would leave a
        # prepared statement behind each time.
        try:
            connection.autocommit = True
            connection.execute("SELECT 1", prepare=False)
            connection.autocommit = False
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    return engine


def _sqlite(file: Path, cache_kib: int) -> Engine:
    def connect() -> sqlite3.Connection:
        # ``mode=rw``: SQLite itself would make a missing file with the rights of any other.
        uri = f"file:{quote(str(file))}?mode=rw"
        connection = sqlite3.connect(
            uri, uri=True, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        with closing(connection.cursor()) as cursor:
            for pragma in (*_PRAGMAS, f"PRAGMA cache_size=-{cache_kib}"):
                cursor.execute(pragma)
        return connection

    engine = create_engine(
        "sqlite://",
        creator=connect,
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        poolclass=QueuePool,
        hide_parameters=True,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # The driver's own transactions begin late, and never as writers: two would deadlock on the upgrade.
        writes = connection.get_execution_options().get("ackfirst_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise ConfigurationError("ACKFIRST_STORE_URL is not a URL: use sqlite:///path, postgresql://… or off") from None
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:" and not parsed.query:
        return parsed.set(drivername="sqlite")
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigurationError(
        f"ACKFIRST_STORE_URL cannot be {parsed.render_as_string(hide_password=True)}: "
        "use sqlite:///path, postgresql://… or off"
    )
