"""What is old goes, what is young stays; on PostgreSQL whole days, without a DEFAULT partition."""

import psycopg
import pytest
from sqlalchemy.engine import make_url

from ackfirst.shared.store import EventFilter, Request, Store, StoreUnavailableError, open_store
from tests.support.postgresql import PostgresProcess
from tests.support.record_rows import NOON, arrival, batch, event_id, handled

DAY = 86_400
MIDNIGHT = NOON - DAY / 2
ALL = EventFilter()


def filled(store: Store, days: int = 5) -> None:
    """Ten events a day up to today noon, one of them dead and one that came twice."""
    for age in range(days):
        at = NOON - age * DAY
        parts = [handled(f"{age}.{n}", at + n, "dead" if n == 3 else "done") for n in range(10)]
        store.write(batch(age + 1, *parts, requests=[Request(at=at, kind="duplicate", event_id=event_id(f"{age}.1"))]))


@pytest.mark.parametrize("exact", [False, True])
def test_purging_up_to_midnight_removes_the_days_before(store: Store, exact: bool) -> None:
    filled(store)
    assert store.purge(MIDNIGHT - DAY, exact=exact) == 30
    assert store.count(ALL) == 20
    assert {row.received_at // DAY for row in store.events(ALL)} == {(NOON - DAY) // DAY, NOON // DAY}
    assert [row.event_id for row in store.dead()] == [event_id("0.3"), event_id("1.3")]
    assert [(group.week, group.day) for group in store.dead_groups(NOON + 60)] == [(2, 1)]
    assert store.attempts([event_id("2.1")]) == store.requests([event_id("2.1")]) == []
    assert len(store.attempts([event_id("1.1")])) == len(store.requests([event_id("1.1")])) == 1
    assert store.stats(NOON - 9 * DAY, NOON + 60).totals["family"] == {"message-status": 20}
    assert store.purge(MIDNIGHT - DAY, exact=exact) == 0


def test_purging_to_the_second_removes_a_part_of_a_day(store: Store) -> None:
    filled(store, days=2)
    assert store.purge(NOON - DAY + 4.5, exact=True) == 5
    assert store.count(ALL) == 15
    assert store.message(event_id("1.4")) == []
    assert len(store.message(event_id("1.5"))) == 1


def test_postgresql_keeps_a_day_until_it_is_over(store: Store, store_url: str) -> None:
    filled(store, days=2)
    removed = store.purge(NOON - DAY + 4.5)
    assert removed == (0 if make_url(store_url).get_backend_name() == "postgresql" else 5)


def test_many_rows_go_in_pieces_between_which_others_write(store: Store, store_url: str) -> None:
    if make_url(store_url).get_backend_name() == "postgresql":
        pytest.skip("PostgreSQL drops whole days")
    store.write(batch(1, arrivals=[arrival(n, NOON + n // 4) for n in range(1_300)]))
    written: list[int] = []

    def write_meanwhile() -> None:
        written.append(len(written))
        store.write(batch(2 + len(written), handled(f"new {len(written)}", NOON + DAY)))

    assert store.purge(NOON + DAY, pause=write_meanwhile) == 1_300
    assert store.count(ALL) == len(written) >= 2


def test_minutes_go_after_two_days_and_hours_stay(store: Store) -> None:
    store.write(batch(1, handled(1, NOON - 3 * DAY), handled(2)))
    store.purge(NOON - 90 * DAY)
    found = store.stats(NOON - 3 * DAY - 60, NOON - 3 * DAY + 60)
    assert (found.step, found.totals["family"]) == (3_600, {"message-status": 1})
    assert store.stats(NOON - 60, NOON + 60).step == 60


def partitions(server: PostgresProcess, url: str) -> list[str]:
    database = make_url(url).database or ""
    listed = "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY relname"
    return [str(row[0]) for row in server.execute(listed, database)]


@pytest.fixture
def empty_url(postgres_server: PostgresProcess) -> object:
    with postgres_server.database(template="record") as url:
        yield url


def test_partitions_are_made_ahead_and_only_once(postgres_server: PostgresProcess, empty_url: str) -> None:
    with open_store(empty_url) as store:
        store.ensure_partitions(NOON)
        made = partitions(postgres_server, empty_url)
        assert [name for name in made if name.startswith("events")] == [f"events_202601{day}" for day in range(15, 23)]
        assert len(made) == 24
        store.ensure_partitions(NOON + DAY)
        assert len(partitions(postgres_server, empty_url)) == 27


def test_a_row_of_a_day_without_a_partition_is_written(postgres_server: PostgresProcess, empty_url: str) -> None:
    with open_store(empty_url) as store:
        store.write(batch(1, handled(1), handled(2, NOON - 400 * DAY), handled(3, NOON + 400 * DAY)))
        assert store.count(ALL) == 3
        assert partitions(postgres_server, empty_url)[3:6] == ["events_20241211", "events_20260115", "events_20270219"]


def test_a_day_that_was_dropped_comes_back_for_a_late_event(postgres_server: PostgresProcess, empty_url: str) -> None:
    with open_store(empty_url) as store:
        filled(store, days=3)
        store.purge(MIDNIGHT)
        assert "events_20260113" not in partitions(postgres_server, empty_url)
        store.write(batch(9, handled("late", NOON - 2 * DAY)))
        assert [row.event_id for row in store.message("uuid-late")] == [event_id("late")]


def test_a_day_is_dropped_while_others_read(postgres_server: PostgresProcess, empty_url: str) -> None:
    with open_store(empty_url) as store:
        filled(store, days=3)
        assert store.purge(MIDNIGHT) == 20
        assert {name[-8:] for name in partitions(postgres_server, empty_url)} == {"20260115"}


def test_a_day_that_a_long_reader_keeps_goes_at_the_next_purge(
    postgres_server: PostgresProcess, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = "SET lock_timeout = '200ms'; SET statement_timeout = '2s'"
    monkeypatch.setattr("ackfirst.shared.store.database._TIMEOUTS", short)
    with open_store(empty_url) as store, psycopg.connect(empty_url) as reader:
        filled(store, days=3)
        reader.execute("SELECT count(*) FROM events")
        with pytest.raises(StoreUnavailableError, match="timeout"):
            store.purge(MIDNIGHT)
        assert len(store.message(event_id("0.1"))) == 1, "nobody waits meanwhile"
        reader.rollback()
        store.purge(MIDNIGHT)
        assert {name[-8:] for name in partitions(postgres_server, empty_url)} == {"20260115"}
        assert store.count(ALL) == 10


@pytest.mark.parametrize("left", ["half detached", "detached"])
def test_a_late_event_of_a_day_whose_purge_was_interrupted_brings_nothing_back(
    postgres_server: PostgresProcess, empty_url: str, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = "SET lock_timeout = '200ms'; SET statement_timeout = '2s'"
    monkeypatch.setattr("ackfirst.shared.store.database._TIMEOUTS", short)
    with open_store(empty_url) as store, psycopg.connect(empty_url) as reader:
        filled(store, days=3)
        if left == "detached":
            postgres_server.execute("ALTER TABLE events DETACH PARTITION events_20260113", make_url(empty_url).database)
        else:
            reader.execute("SELECT count(*) FROM events")
            with pytest.raises(StoreUnavailableError):
                store.purge(MIDNIGHT)
            reader.rollback()
        store.write(batch(9, handled("late", NOON - 2 * DAY)))
        old = store.events(EventFilter(until=MIDNIGHT - DAY))
        assert [row.event_id for row in old] == [event_id("late")]
        assert store.purge(MIDNIGHT) > 0
        assert {name[-8:] for name in partitions(postgres_server, empty_url)} == {"20260115"}
