"""Remove what is old: whole days on PostgreSQL, small deletes on SQLite."""

import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select, tuple_

from ackfirst.shared.store import partitions
from ackfirst.shared.store.dead_letter_writes import remove_letters
from ackfirst.shared.store.part import StorePart
from ackfirst.shared.store.rollup_writes import STEPS
from ackfirst.shared.store.statistics import MINUTES_KEPT_SECONDS
from ackfirst.shared.store.tables import (
    attempts,
    counts,
    dead_letters,
    dead_minutes,
    events,
    gaps,
    handler_counts,
    handler_errors,
    requests,
)

#: Rows of one delete. With 10 million events in SQLite, on the disk of a Redis that syncs always, and 300 callbacks a
#: second, 500 rows every 20 ms made ingest's p99 3 to 5 times as long; 25 rows every 100 ms make it 1.5 times as long,
#: and still remove 10 million events a day.
ROWS_AT_ONCE: Final = 25
#: Rows of one delete from a table whose rows are small and neighbours.
COUNTS_AT_ONCE: Final = 5_000
#: Between two deletes, in which others write.
PAUSE_SECONDS: Final = 0.1
_LAST_SECOND: Final = partitions.DAY_SECONDS - 1


def wait_between_deletes() -> None:
    """Wait a moment, so that others get to write."""
    time.sleep(PAUSE_SECONDS)


def _events_of_day(connection: Connection, day: int) -> int:
    """Count the events of a day by the roll-ups: counting the rows may take minutes."""
    start = day * partitions.DAY_SECONDS
    mine = (counts.c.step == STEPS[-1], counts.c.kind == "family", counts.c.at.between(start, start + _LAST_SECOND))
    return int(connection.execute(select(func.sum(counts.c.n)).where(*mine)).scalar() or 0)


class Retention(StorePart):
    """Removes rows by their age."""

    def ensure_partitions(self, now: float) -> None:
        """Make PostgreSQL's partitions of this day and the next seven. Does nothing on SQLite."""
        if self._database.is_postgresql:
            today = partitions.day_of(now)
            with self._database.writing() as connection:
                partitions.make_partitions(connection, range(today, today + partitions.DAYS_AHEAD + 1))

    def purge(
        self, older_than: float, *, pause: Callable[[], object] = wait_between_deletes, exact: bool = False
    ) -> int:
        """Remove everything that was received before a time; return how many events that were.

        Replays and the audit stay.

        Args:
            older_than: Unix seconds.
            pause: Called between two deletes; others may write meanwhile, also from within.
            exact: On PostgreSQL days (UTC) are dropped as a whole, and a day that is not over by ``older_than`` stays;
                with ``exact`` its older rows are deleted as well. Always so on SQLite.
        """
        removed = 0
        if self._database.is_postgresql:
            for day in self._old_days(older_than):
                self._remove_letters(min(older_than, (day + 1) * partitions.DAY_SECONDS), pause)
                with self._database.without_transaction() as connection:
                    removed += _events_of_day(connection, day)
                    partitions.drop_day(connection, day)
                pause()
        if exact or not self._database.is_postgresql:
            removed += self._delete_events(older_than, pause)
            self._delete_by_time(requests, requests.c.at < older_than, requests.c.at, pause)
        self._delete_counts(older_than, pause)
        return removed

    def _old_days(self, older_than: float) -> list[int]:
        with self._database.reading() as connection:
            return partitions.old_days(connection, older_than)

    def _remove_letters(self, older_than: float, pause: Callable[[], object]) -> None:
        query = select(dead_letters).where(dead_letters.c.received_at < older_than).limit(ROWS_AT_ONCE)
        while True:
            with self._database.writing() as connection:
                if not (letters := connection.execute(query.order_by(dead_letters.c.received_at)).all()):
                    return
                remove_letters(connection, letters)
            pause()

    def _delete_events(self, older_than: float, pause: Callable[[], object]) -> int:
        self._remove_letters(older_than, pause)
        self._delete_by_time(attempts, attempts.c.received_at < older_than, attempts.c.received_at, pause)
        return self._delete_by_time(events, events.c.received_at < older_than, events.c.received_at, pause)

    def _delete_by_time(
        self, table: Table, old: ColumnElement[bool], time_column: ColumnElement[Any], pause: Callable[[], object]
    ) -> int:
        """Delete the oldest ``ROWS_AT_ONCE`` rows, then the next; rows of the same time go together."""
        removed = 0
        last = select(time_column).where(old).order_by(time_column).offset(ROWS_AT_ONCE - 1).limit(1)
        while True:
            with self._database.writing() as connection:
                end = connection.execute(last).scalar()
                piece = old if end is None else time_column <= end
                removed += connection.execute(delete(table).where(piece)).rowcount
            if end is None:
                return removed
            pause()

    def _delete_counts(self, older_than: float, pause: Callable[[], object]) -> None:
        for table in (counts, handler_counts):
            newest = select(func.max(table.c.at)).where(table.c.step == STEPS[0])
            with self._database.reading() as connection:
                oldest_minute = (connection.execute(newest).scalar() or 0) - MINUTES_KEPT_SECONDS
            for step in STEPS:
                before = max(older_than, oldest_minute) if step == STEPS[0] else older_than
                self._delete_pieces(table, (table.c.step == step) & (table.c.at < before - step), pause)
        self._delete_pieces(dead_minutes, dead_minutes.c.n <= 0, pause)
        self._delete_pieces(gaps, gaps.c.to_at < older_than, pause)
        self._delete_pieces(handler_errors, handler_errors.c.at < older_than, pause)

    def _delete_pieces(self, table: Table, old: ColumnElement[bool], pause: Callable[[], object]) -> None:
        key = tuple_(*table.primary_key.columns)
        some = select(*table.primary_key.columns).where(old).limit(COUNTS_AT_ONCE)
        while True:
            with self._database.writing() as connection:
                if connection.execute(delete(table).where(key.in_(some))).rowcount < COUNTS_AT_ONCE:
                    return
            pause()
