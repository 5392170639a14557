"""Make and drop the partitions of PostgreSQL's tables: one a day (UTC), made ahead or as soon as a row needs one.

There is no DEFAULT partition: rows in it would stand in the way of the partition that they belong into.
"""

import re
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

_OF_TABLE: Final = text(
    "SELECT c.relname, i.inhdetachpending FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = CAST(:parent AS regclass)"
)
_ATTACHED: Final = text(
    "SELECT relname FROM pg_class WHERE relname = ANY(:names) AND relispartition AND pg_table_is_visible(oid)"
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
        # Made beside the table and then attached: CREATE TABLE … PARTITION OF waits for all readers of the table, and
        # makes those that come after wait as well.
        connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {table} INCLUDING ALL)")
        bounds = f"FROM ({day * DAY_SECONDS}) TO ({(day + 1) * DAY_SECONDS})"
        connection.exec_driver_sql(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {bounds}")


def old_days(connection: Connection, older_than: float) -> list[int]:
    """List the days that have a partition and are over by a time, oldest first."""
    found = {day for table in PARTITIONED for _, day, _ in _partitions(connection, table)}
    return sorted(day for day in found if (day + 1) * DAY_SECONDS <= older_than)


def drop_day(connection: Connection, day: int) -> int:
    """Drop the partitions of a day; return how many events were in it.

    Needs a connection without a transaction: a partition is first detached CONCURRENTLY, so that nobody waits for it,
    while dropping it at once would wait for all readers of the table. What an error interrupts, the next call finishes.
    """
    removed = 0
    for table in PARTITIONED:
        for name, of_day, is_pending in _partitions(connection, table):
            if of_day != day:
                continue
            if table == "events":
                removed = int(connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one())  # noqa: S608 - our own name
            how = "FINALIZE" if is_pending else "CONCURRENTLY"
            connection.exec_driver_sql(f"ALTER TABLE {table} DETACH PARTITION {name} {how}")
            connection.exec_driver_sql(f"DROP TABLE {name}")
    return removed


def _missing(connection: Connection, names: Iterable[str]) -> list[str]:
    wanted = set(names)
    return sorted(wanted - set(connection.execute(_ATTACHED, {"names": list(wanted)}).scalars()))


def _partitions(connection: Connection, table: str) -> list[tuple[str, int, bool]]:
    """List name, day and whether it is half detached, of each partition of a table."""
    found = []
    for name, is_pending in connection.execute(_OF_TABLE, {"parent": table}):
        if matched := re.fullmatch(rf"{table}_(\d{{8}})", name):
            date = datetime.strptime(matched[1], "%Y%m%d").replace(tzinfo=UTC)
            found.append((name, day_of(date.timestamp()), is_pending))
    return found


def _date(day: int) -> str:
    return f"{datetime.fromtimestamp(day * DAY_SECONDS, UTC):%Y%m%d}"
