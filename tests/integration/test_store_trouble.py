"""Every trouble of a database is one error with one sentence, and over when the database is well again."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from ackfirst.shared.errors import ConfigurationError
from ackfirst.shared.store import AuditRow, EventFilter, Gap, Replay, Store, StoreUnavailableError, open_store
from tests.support.postgresql import PostgresProcess
from tests.support.processes import ROOT
from tests.support.record_rows import NOON, arrival, batch, event_id, handled
from tests.support.small_disk import needs_small_disk, small_disk
from tests.support.waiting import wait_until

ALL = EventFilter()

METHODS: dict[str, Callable[[Store], Any]] = {
    "write": lambda store: store.write(batch(99, handled(99))),
    "position": lambda store: store.position(),
    "note_gap": lambda store: store.note_gap(Gap(1.0, 2.0, 3, "x")),
    "gaps": lambda store: store.gaps(0.0),
    "audit": lambda store: store.audit(AuditRow(1.0, "a", "b", "c")),
    "audit_rows": lambda store: store.audit_rows(0.0),
    "message": lambda store: store.message("x"),
    "attempts": lambda store: store.attempts(["x"]),
    "requests": lambda store: store.requests(["x"]),
    "events": lambda store: store.events(ALL),
    "follow": lambda store: store.follow(ALL, None),
    "resolve": lambda store: store.resolve(ALL, None),
    "count": lambda store: store.count(ALL),
    "dead_groups": lambda store: store.dead_groups(NOON),
    "dead": lambda store: store.dead(),
    "stats": lambda store: store.stats(NOON, NOON + 1),
    "applications": lambda store: store.applications(),
    "replay_new": lambda store: store.replay_new(
        Replay(id="r", name="", created_at=1.0, who="", reason="", filter="{}")
    ),
    "replay": lambda store: store.replay("r"),
    "replay_plan": lambda store: store.replay_plan(ALL),
    "replay_handlers": lambda store: store.replay_handlers(ALL),
    "replays": lambda store: store.replays(),
    "replay_update": lambda store: store.replay_update("r", moved=1),
    "purge": lambda store: store.purge(NOON),
    "ensure_partitions": lambda store: store.ensure_partitions(NOON),
    "redact": lambda store: store.redact(event_ids=["x"], key=b"k"),
}


def test_every_method_is_tried_here() -> None:
    public = {name for name in dir(Store) if not name.startswith("_")} - {"close", "shown"}
    assert public == set(METHODS)


def test_a_server_that_is_killed_is_one_error_of_every_method_and_all_is_well_after_its_start(
    own_postgres: PostgresProcess,
) -> None:
    with open_store(own_postgres.url(), migrate=True) as store:
        store.write(batch(1, handled(1)))
        own_postgres.kill()
        for name, call in METHODS.items():
            with pytest.raises(StoreUnavailableError, match="check ACKFIRST_STORE_URL"):
                pytest.fail(f"{name} returned {call(store)!r}")
        with pytest.raises(StoreUnavailableError):
            open_store(own_postgres.url())
        own_postgres.start()
        for call in METHODS.values():
            call(store)
        assert (store.count(ALL), store.position()) == (2, "99-0")


def test_a_server_that_is_restarted_between_two_calls_is_not_noticed(own_postgres: PostgresProcess) -> None:
    with open_store(own_postgres.url(), migrate=True) as store:
        store.write(batch(1, handled(1)))
        own_postgres.stop()
        own_postgres.start()
        store.write(batch(2, handled(2)))
        assert store.count(ALL) == 2


def test_batches_written_while_the_server_is_killed_again_and_again_are_all_there_once(
    own_postgres: PostgresProcess,
) -> None:
    stop, errors = threading.Event(), []

    def write_all(store: Store) -> None:
        for number in range(1, 10_000):
            while True:
                try:
                    store.write(batch(number, handled(number)))
                    break
                except StoreUnavailableError as error:
                    errors.append(error)
            if stop.is_set():
                return

    with open_store(own_postgres.url(), migrate=True) as store:
        writer = threading.Thread(target=write_all, args=(store,))
        writer.start()
        for _ in range(3):
            seen = int(store.position().partition("-")[0])
            wait_until(lambda seen=seen: int(store.position().partition("-")[0]) > seen + 20, timeout=30)
            own_postgres.kill()
            own_postgres.start()
        stop.set()
        writer.join(timeout=30)
        written = int(store.position().partition("-")[0])
        assert errors, "it was killed in the middle of something"
        assert store.count(ALL) == store.stats(NOON, NOON + 1).totals["family"]["message-status"] == written


def test_a_wiped_server_gets_its_tables_anew_from_a_store_that_migrates(own_postgres: PostgresProcess) -> None:
    with open_store(own_postgres.url(), migrate=True) as store:
        store.write(batch(5, handled(1)))
        own_postgres.execute("DROP SCHEMA public CASCADE")
        own_postgres.execute("CREATE SCHEMA public")
        with pytest.raises(StoreUnavailableError):
            store.position()
        assert store.position() == "0-0"
        store.write(batch(6, handled(2)))
        assert store.count(ALL) == 1


def test_a_database_that_was_made_without_a_locale_keeps_texts_all_the_same(own_postgres: PostgresProcess) -> None:
    own_postgres.execute("CREATE DATABASE plain ENCODING 'SQL_ASCII' TEMPLATE template0")
    with open_store(own_postgres.url("plain"), migrate=True) as store:
        store.audit(AuditRow(1.0, "márta", "café", "\U0001f600"))
        store.write(batch(1, handled(1)))
        assert store.audit_rows() == [AuditRow(1.0, "márta", "café", "\U0001f600")]
        assert store.count(ALL) == 1


def test_a_removed_file_is_made_anew_by_a_store_that_migrates(tmp_path: Path) -> None:
    file = tmp_path / "record.db"
    with open_store(f"sqlite:///{file}", migrate=True) as store, open_store(f"sqlite:///{file}") as reader:
        store.write(batch(5, handled(1)))
        assert reader.count(ALL) == 1
        file.unlink()
        with pytest.raises(ConfigurationError, match="there is no record at"):
            reader.count(ALL)
        assert store.position() == "0-0"
        store.write(batch(6, handled(2)))
        assert store.count(ALL) == reader.count(ALL) == 1
        assert file.stat().st_mode & 0o777 == 0o600


def test_file_and_folder_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    previous = os.umask(0)
    try:
        with open_store(f"sqlite:///{folder}/record.db", migrate=True) as store:
            store.write(batch(1, handled(1)))
            assert folder.stat().st_mode & 0o777 == 0o700
            assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()} == {
                f"record.db{suffix}": 0o600 for suffix in ("", "-wal", "-shm")
            }
    finally:
        os.umask(previous)


def test_a_locked_file_is_an_error_until_the_lock_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ackfirst.shared.store.database.LOCK_SECONDS", 0.05)
    url = f"sqlite:///{tmp_path}/record.db"
    with open_store(url, migrate=True) as store:
        other = create_engine(url)
        with other.connect() as holder:
            holder.execute(text("BEGIN IMMEDIATE"))
            with pytest.raises(StoreUnavailableError, match="locked"):
                store.write(batch(1, handled(1)))
            assert store.count(ALL) == 0, "readers do not wait for writers"
        other.dispose()
        store.write(batch(1, handled(1)))
        assert store.count(ALL) == 1


@needs_small_disk
def test_a_full_disk_is_an_error_and_nothing_is_lost_once_there_is_room(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        url = f"sqlite:///{disk.folder}/data/record.db"
        with open_store(url, migrate=True) as store:
            store.write(batch(1, handled(1)))
            disk.fill()
            large = batch(2, arrivals=[arrival(2, body=os.urandom(200_000))])
            with pytest.raises(StoreUnavailableError, match="full"):
                store.write(large)
            assert store.count(ALL) == 1, "it can still be read"
            disk.make_room()
            store.write(large)
            assert [row.event_id for row in store.events(ALL)] == [event_id(2), event_id(1)]


def test_a_writer_that_is_killed_leaves_whole_batches(store_url: str) -> None:
    program = (
        "import sys\n"
        "from ackfirst.shared.store import open_store\n"
        "from tests.support.record_rows import batch, handled\n"
        "store = open_store(sys.argv[1])\n"
        "for number in range(1, 100_000):\n"
        "    store.write(batch(number, *(handled(f'{number}.{n}') for n in range(10))))\n"
    )
    with open_store(store_url) as store:
        writer = subprocess.Popen([sys.executable, "-c", program, store_url], cwd=ROOT)
        wait_until(lambda: int(store.position().partition("-")[0]) > 10, timeout=60)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        written = int(store.position().partition("-")[0])
        counted = store.stats(NOON - 1, NOON + 1).totals
        assert (
            store.count(ALL) == counted["family"]["message-status"] == counted["outcome"]["processed"] == written * 10
        )


def test_an_error_never_quotes_a_row_or_a_password(own_postgres: PostgresProcess) -> None:
    url = own_postgres.url().replace("ackfirst@", "ackfirst:hunter2@")
    with open_store(url, migrate=True) as store:
        own_postgres.execute("ALTER TABLE events ADD CHECK (sender <> '447700900001')")
        with pytest.raises(StoreUnavailableError) as caught:
            store.write(batch(1, handled(1)))
        assert caught.value.__cause__ is None
        assert "447700900001" not in str(caught.value)
        assert "hunter2" not in str(caught.value) + store.shown
