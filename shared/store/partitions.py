"""Make the partitions of PostgreSQL's tables, one a day (UTC), ahead of time or as soon as a row needs one.

There is no DEFAULT partition: rows in it would stand in the way of the partition that they belong into.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, text

from ackfirst.shared.store.rows import Batch
from ackfirst.shared.store.tables import PARTITIONED

DAY_SECONDS: Final = 86_400
#: How many days ahead partitions are made: a recorder that stands for a week finds one for its first row.
DAYS_AHEAD: Final = 7


def day(at: float) -> int:
    """Return the number of the day of a time, counted from 1970."""
    return int(at // DAY_SECONDS)


def days(batch: Batch) -> set[int]:
    """Return the days that a batch has rows of."""
    of_events = {day(row.received_at) for rows in (batch.arrivals, batch.attempts, batch.endings) for row in rows}
    return of_events | {day(row.at) for row in batch.requests}


def name(table: str, number: int) -> str:
    """Name the partition of a day, such as ``events_20261128``."""
    return f"{table}_{datetime.fromtimestamp(number * DAY_SECONDS, UTC):%Y%m%d}"


def make(connection: Connection, wanted: Iterable[int]) -> None:
    """Make the partitions of some days, where they are missing."""
    if connection.dialect.name != "postgresql":
        return
    wanted = set(wanted)
    names = {name(table, number): (table, number) for table in PARTITIONED for number in wanted}
    query = text("SELECT relname FROM pg_class WHERE relname = ANY(:names) AND relispartition")
    known = set(connection.execute(query, {"names": list(names)}).scalars())
    for partition in sorted(set(names) - known):
        table, number = names[partition]
        # Made beside the table and then attached: CREATE … PARTITION OF would make every reader wait.
        connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {partition} (LIKE {table} INCLUDING ALL)")
        bounds = f"FROM ({number * DAY_SECONDS}) TO ({(number + 1) * DAY_SECONDS})"
        connection.exec_driver_sql(f"ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES {bounds}")
