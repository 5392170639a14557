"""Remove what is old, and personal data on request."""

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, or_, select, update

from ackfirst.shared.store import partitions
from ackfirst.shared.store.dead_letter_writes import remove_letters
from ackfirst.shared.store.part import StorePart, among, chunks
from ackfirst.shared.store.rollup_writes import STEPS
from ackfirst.shared.store.rows import Redacted
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
from ackfirst.shared.store.texts import LONGEST_KEY, clean

#: Rows of one delete.
ROWS_AT_ONCE: Final = 500
PAUSE_SECONDS: Final = 0.01


def _sleep() -> None:
    time.sleep(PAUSE_SECONDS)


class Retention(StorePart):
    """Removes rows and personal data."""

    def purge(self, older_than: float, *, pause: Callable[[], object] = _sleep) -> int:
        """Remove everything received before a time; return how many events that were.

        In small deletes with a ``pause`` between them, in which others write.

        Args:
            older_than: Unix seconds.
            pause: Called between two deletes.
        """
        removed = 0
        while keys := self._oldest(older_than):
            with self._database.writing() as connection:
                letters = connection.execute(select(dead_letters).where(among(dead_letters, keys))).all()
                remove_letters(connection, letters)
                connection.execute(delete(attempts).where(among(attempts, keys)))
                removed += connection.execute(delete(events).where(among(events, keys))).rowcount
            pause()
        with self._database.writing() as connection:
            connection.execute(delete(requests).where(requests.c.at < older_than))
            for table in (counts, handler_counts):
                newest = connection.execute(select(func.max(table.c.at)).where(table.c.step == STEPS[0])).scalar() or 0
                minutes = (table.c.step == STEPS[0], table.c.at < newest - MINUTES_KEPT_SECONDS)
                connection.execute(delete(table).where(*minutes))
                connection.execute(delete(table).where(table.c.at < older_than))
            connection.execute(delete(dead_minutes).where(dead_minutes.c.n <= 0))
            connection.execute(delete(gaps).where(gaps.c.to_at < older_than))
        return removed

    def _oldest(self, older_than: float) -> list[tuple[float, str]]:
        query = select(events.c.received_at, events.c.event_id).where(events.c.received_at < older_than)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(events.c.received_at).limit(ROWS_AT_ONCE)).all()
        return [(row.received_at, row.event_id) for row in rows]

    def ensure_partitions(self, now: float) -> None:
        """Make the partitions of the next days. Does nothing on SQLite."""
        days = {partitions.day(now) + ahead for ahead in range(-1, partitions.DAYS_AHEAD + 1)}
        with self._database.writing() as connection:
            partitions.make(connection, days)

    def redact(self, *, event_ids: Sequence[str] = (), number: str | None = None, key: bytes) -> Redacted:
        """Take personal data out of events: by their ids, or all from and to a number.

        Body, query and texts become empty; sender, recipient and client_ref a keyed hash, by which equal values can
        still be compared. States, times, prices and error types stay. Safe to repeat.
        """
        total = Redacted()
        for keys in self._to_redact(event_ids, number):
            done = self._redact(keys, key)
            total = Redacted(
                events=total.events + done.events,
                attempts=total.attempts + done.attempts,
                dead_letters=total.dead_letters + done.dead_letters,
                replays=total.replays,
            )
        return total

    def _to_redact(self, event_ids: Sequence[str], number: str | None) -> Any:
        columns = (events.c.received_at, events.c.event_id)
        for some in chunks(sorted({clean(one, LONGEST_KEY) for one in event_ids})):
            with self._database.reading() as connection:
                rows = connection.execute(select(*columns).where(events.c.event_id.in_(some))).all()
            if rows:
                yield [tuple(row) for row in rows]
        while number:
            mine = or_(events.c.sender == number, events.c.recipient == number)
            with self._database.reading() as connection:
                rows = connection.execute(select(*columns).where(mine).limit(ROWS_AT_ONCE)).all()
            if not rows:
                break
            yield [tuple(row) for row in rows]

    def _redact(self, keys: list[tuple[float, str]], key: bytes) -> Redacted:
        with self._database.writing() as connection:
            rows = connection.execute(
                select(
                    events.c.received_at, events.c.event_id, events.c.sender, events.c.recipient, events.c.client_ref
                ).where(among(events, keys), events.c.redacted_at.is_(None))
            ).all()
            if rows:
                table = events.c
                statement = (
                    update(events)
                    .where(table.received_at == bindparam("r"), table.event_id == bindparam("e"))
                    .values(
                        body=b"",
                        query=b"",
                        reason=None,
                        redacted_at=time.time(),
                        sender=bindparam("s"),
                        recipient=bindparam("t"),
                        client_ref=bindparam("c"),
                    )
                )
                connection.execute(
                    statement,
                    [
                        {
                            "r": row.received_at,
                            "e": row.event_id,
                            "s": _hashed(row.sender, key),
                            "t": _hashed(row.recipient, key),
                            "c": _hashed(row.client_ref, key),
                        }
                        for row in rows
                    ],
                )
            texts = connection.execute(
                update(attempts).where(among(attempts, keys)).values(message=None, returned=None)
            )
            letters = connection.execute(update(dead_letters).where(among(dead_letters, keys)).values(error=""))
            ids = [event_id for _, event_id in keys]
            connection.execute(update(handler_errors).where(handler_errors.c.event_id.in_(ids)).values(message=""))
            return Redacted(events=len(rows), attempts=texts.rowcount, dead_letters=letters.rowcount)


def _hashed(value: str | None, key: bytes) -> str | None:
    if value is None or value.startswith("redacted:"):
        return value
    return f"redacted:{hmac.new(key, value.encode(), hashlib.sha256).hexdigest()[:32]}"
