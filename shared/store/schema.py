"""Bring the schema of the record up to date, and refuse one that this version does not know."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.store.database import Database

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
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
        if _refuse_unknown(database, connection) == _newest():
            return
        config = _config()
        config.attributes["connection"] = connection
        config.attributes["version_table"] = VERSION_TABLE
        command.upgrade(config, "head")


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
    if found != _newest():
        raise ConfigurationError(
            f"the record at {database.shown} is of an older version (schema {found}): "
            "start `ackfirst worker` of this version once, it migrates the record"
        )


def _refuse_unknown(database: Database, connection: Connection) -> str | None:
    found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise ConfigurationError(
            f"the record at {database.shown} was changed by a newer ackfirst (schema {found}, newest known here: "
            f"{_newest()}): install that version again, or restore a backup from before its first start"
        )
    return found


def _newest() -> str:
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
