"""Tables are made and changed by migrations that come with the package; a schema that is not known is refused."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.engine import make_url

from ackfirst.shared.errors import ConfigurationError, StoreUnavailableError
from ackfirst.shared.store import EventFilter, open_store, schema
from ackfirst.shared.store.schema import KNOWN, VERSION_TABLE
from ackfirst.shared.store.tables import metadata
from tests.support.record_rows import batch, handled

if TYPE_CHECKING:
    from tests.support.postgresql import PostgresProcess


def engine_of(url: str) -> Engine:
    return create_engine(url.replace("postgresql:", "postgresql+psycopg:"))


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    """URL of a place for a record without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/record.db"
        return
    server: PostgresProcess = request.getfixturevalue("postgres_server")
    with server.database() as url:
        yield url


def test_the_migrations_make_exactly_the_tables_of_the_code(bare_url: str) -> None:
    open_store(bare_url, migrate=True).close()
    engine = engine_of(bare_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        found = {
            name: sorted(str(i["name"]) for i in inspect(connection).get_indexes(name)) for name in metadata.tables
        }
    engine.dispose()
    assert found == {name: sorted(str(i.name) for i in table.indexes) for name, table in metadata.tables.items()}


def test_the_schemas_that_are_known_are_those_that_alembic_finds() -> None:
    migrations = ScriptDirectory(str(Path(schema.__file__).parent / "migrations"))
    assert tuple(script.revision for script in migrations.walk_revisions())[::-1] == KNOWN


def test_a_record_that_was_never_made_is_refused_with_what_makes_it(bare_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no (record|tables).*`ackfirst worker` makes"):
        open_store(bare_url)
    assert not Path(make_url(bare_url).database or "").exists() or "postgresql" in bare_url


def test_migrating_twice_and_from_several_processes_at_once_changes_nothing_more(bare_url: str) -> None:
    failed: list[BaseException] = []

    def migrate() -> None:
        try:
            open_store(bare_url, migrate=True).close()
        except BaseException as error:  # noqa: BLE001 - shown below
            failed.append(error)

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with open_store(bare_url) as store:
        store.write(batch(1, handled(1)))
        open_store(bare_url, migrate=True).close()
        assert store.count(EventFilter()) == 1


@pytest.mark.parametrize("migrate", [False, True])
def test_a_newer_schema_is_refused_with_what_helps(bare_url: str, migrate: bool) -> None:
    open_store(bare_url, migrate=True).close()
    engine = engine_of(bare_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(
        ConfigurationError, match=r"newer ackfirst \(schema 9999, newest known here: \d+\): install that"
    ):
        open_store(bare_url, migrate=migrate)


def test_tables_of_others_are_left_alone(bare_url: str) -> None:
    file = make_url(bare_url).database or ""
    if "sqlite" in bare_url:
        Path(file).touch()
    engine = engine_of(bare_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE events (mine int)"))
    with pytest.raises(StoreUnavailableError, match="already exists"):
        open_store(bare_url, migrate=True)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["events"]
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("mysql://root@localhost/x", "use sqlite"),
        ("record.db", "not a URL"),
        ("sqlite://", "use sqlite"),
        ("sqlite:///:memory:", "use sqlite"),
        ("", "not a URL"),
        ("postgresql://ann:secret@/x?host=/nowhere", "check ACKFIRST_STORE_URL"),
        ("sqlite:////proc/record/record.db", "check ACKFIRST_STORE_URL"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_its_password(url: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint) as caught:
        open_store(url, migrate=True)
    assert "secret" not in str(caught.value)
