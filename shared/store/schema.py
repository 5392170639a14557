"""Bring the schema of the record up to date, and refuse one that this version does not know."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Text, column, inspect, select, table, text

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.store.database import Database

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
#: The schemas that this version knows, oldest first; each has a file in ``migrations/versions``. Alembic knows them,
#: but takes a quarter of a second to be imported, and hardly any start has something to migrate.
KNOWN: Final = ("0001",)
#: Not Alembic's usual name: an application's own migrations may be in the same database.
VERSION_TABLE: Final = "ackfirst_schema"
#: Any number that nobody else uses: held while a schema is changed.
_LOCK: Final = 0x61636B66


def migrate(database: Database) -> None:
    """Make or change the tables so that they are what this version wants. Safe in several processes at once.

    Raises:
        ConfigurationError: A newer version has changed them.
        StoreUnavailableError: The database does not answer.
    """
    database.make_file()
    with database.writing() as connection:
        if database.is_postgresql:
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # for what a migration has to rewrite
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if _refuse_unknown(database, connection) != KNOWN[-1]:
            _upgrade(connection)


def check(database: Database) -> None:
    """Check that the tables are what this version wants.

    Raises:
        ConfigurationError: They are missing, older or newer.
        StoreUnavailableError: The database does not answer.
    """
    if database.file is not None and not database.file.exists():
        raise ConfigurationError(
            f"there is no record at {database.shown} yet: `ackfirst worker` makes it, check ACKFIRST_STORE_URL"
        )
    with database.reading() as connection:
        found = _refuse_unknown(database, connection)
    if found is None:
        raise ConfigurationError(
            f"the record at {database.shown} has no tables yet: `ackfirst worker` makes them, check ACKFIRST_STORE_URL"
        )
    if found != KNOWN[-1]:
        raise ConfigurationError(
            f"the record at {database.shown} is of an older version (schema {found}): "
            "start `ackfirst worker` of this version once, it migrates the record"
        )


def _refuse_unknown(database: Database, connection: Connection) -> str | None:
    found = _read_version(connection)
    if found is not None and found not in KNOWN:
        raise ConfigurationError(
            f"the record at {database.shown} was changed by a newer ackfirst (schema {found}, newest known here: "
            f"{KNOWN[-1]}): install that version again, or restore a backup from before its first start"
        )
    return found


def _read_version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(select(column("version_num", Text)).select_from(table(VERSION_TABLE)))


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - see KNOWN
    from alembic.config import Config  # noqa: PLC0415 - see KNOWN

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    command.upgrade(config, "head")
