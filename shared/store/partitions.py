"""Make and drop the partitions of PostgreSQL's tables: one a day (UTC), made ahead or as soon as a row needs one.

There is no DEFAULT partition: rows in it would stand in the way of the partition that they belong into.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, text

from ackfirst.shared.store.rows import Batch
from ackfirst.shared.store.tables import PARTITIONED

DAY_SECONDS: Final = 86_400
#: How many days ahead partitions are made.
DAYS_AHEAD: Final = 7
#: Any number that no other program uses: held while partitions are made.
_LOCK: Final = 0x61636B67

#: All that was ever made and not dropped; ``inhdetachpending`` is null of one that was detached.
_OF_TABLE: Final = text(
    "SELECT c.relname, i.inhdetachpending FROM pg_class c "
    "LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = CAST(:parent AS regclass) "
    "WHERE c.relkind = 'r' AND c.relname ~ :pattern AND pg_table_is_visible(c.oid)"
)
_ATTACHED: Final = text(
    "SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid "
    "WHERE c.relname = ANY(:names) AND NOT i.inhdetachpending AND pg_table_is_visible(c.oid)"
)


def day_of(at: float) -> int:
    """Return the number of the day of a time, counted from 1970."""
    return int(at // DAY_SECONDS)


def days_of(batch: Batch) -> set[int]:
    """Return the days that a batch has rows of."""
    of_events = {day_of(row.received_at) for rows in (batch.arrivals, batch.attempts, batch.endings) for row in rows}
    return of_events | {day_of(row.at) for row in batch.requests}


def make_partitions(connection: Connection, days: Iterable[int]) -> None:
    """Make the partitions of some days, where they are missing."""
    names = {f"{table}_{_date(day)}": (table, day) for table in PARTITIONED for day in set(days)}
    if not _missing(connection, names):
        return
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    for name in _missing(connection, names):
        table, day = names[name]
        _drop(connection, table, day, how="FINALIZE")  # what a purge of this day left when it was interrupted
        # Made beside the table and then attached: CREATE TABLE … PARTITION OF waits for all readers of the table, and
        # makes those that come after wait as well.
        connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
        bounds = f"FROM ({day * DAY_SECONDS}) TO ({(day + 1) * DAY_SECONDS})"
        connection.exec_driver_sql(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {bounds}")


def old_days(connection: Connection, older_than: float) -> list[int]:
    """List the days that have a partition and are over by a time, oldest first."""
    found = {day for table in PARTITIONED for _, day, _ in _partitions(connection, table)}
    return sorted(day for day in found if (day + 1) * DAY_SECONDS <= older_than)


def drop_day(connection: Connection, day: int) -> None:
    """Drop the partitions of a day.

    Needs a connection without a transaction: a partition is first detached CONCURRENTLY, so that nobody waits for it,
    while dropping it at once would wait for all readers of the table. What an error interrupts, the next call finishes.
    """
    for table in PARTITIONED:
        _drop(connection, table, day, how="CONCURRENTLY")


def _drop(connection: Connection, table: str, day: int, *, how: str) -> None:
    for name, of_day, is_pending in _partitions(connection, table):
        if of_day == day:
            if is_pending is not None:
                how = "FINALIZE" if is_pending else how
                connection.exec_driver_sql(f"ALTER TABLE {table} DETACH PARTITION {name} {how}")
            connection.exec_driver_sql(f"DROP TABLE {name}")


def _missing(connection: Connection, names: Iterable[str]) -> list[str]:
    wanted = set(names)
    return sorted(wanted - set(connection.execute(_ATTACHED, {"names": list(wanted)}).scalars()))


def _partitions(connection: Connection, table: str) -> list[tuple[str, int, bool | None]]:
    """List name and day of each partition of a table, and whether it is half detached; None: it is detached."""
    values = {"parent": table, "pattern": f"^{table}_[0-9]{{8}}$"}
    found = []
    for name, is_pending in connection.execute(_OF_TABLE, values):
        date = datetime.strptime(name.rpartition("_")[2], "%Y%m%d").replace(tzinfo=UTC)
        found.append((name, day_of(date.timestamp()), is_pending))
    return found


def _date(day: int) -> str:
    return f"{datetime.fromtimestamp(day * DAY_SECONDS, UTC):%Y%m%d}"
