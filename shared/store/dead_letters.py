"""Read dead letters: which handlers fail for good, with what, how often, and on which events."""

from typing import Any, Final

from sqlalchemy import Connection, Row, case, func, select, tuple_

from ackfirst.shared.store.part import StorePart, at_most
from ackfirst.shared.store.reading import MOST_ROWS
from ackfirst.shared.store.results import DeadGroup
from ackfirst.shared.store.rows import Cursor, DeadLetter
from ackfirst.shared.store.tables import dead_letters, dead_minutes
from ackfirst.shared.store.texts import LONGEST_KEY, clean

#: Most groups of one answer.
MOST_GROUPS: Final = 200
MINUTE_SECONDS: Final = 60
_WINDOWS: Final = {"hour": 3_600, "day": 86_400, "week": 604_800}


class DeadLetters(StorePart):
    """Finds what needs a person."""

    def dead_groups(self, now: float) -> list[DeadGroup]:
        """Group the dead letters by handler and error type, at most 200 groups; the most in the last week first."""
        table = dead_minutes.c
        windows = [
            func.sum(case((table.at > now - seconds - MINUTE_SECONDS, table.n), else_=0)).label(name)
            for name, seconds in _WINDOWS.items()
        ]
        week = table.at > now - _WINDOWS["week"] - MINUTE_SECONDS
        query = select(table.handler, table.error_type, *windows).where(week)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(table.handler, table.error_type))
            found = {(row.handler, row.error_type): row for row in rows}
            groups: list[DeadGroup] = []
            oldest = _first_after(connection, None)
            while oldest is not None and len(groups) < MOST_GROUPS:
                group = (oldest.handler, oldest.error_type)
                groups.append(_group(oldest, _newest(connection, group), found.get(group)))
                oldest = _first_after(connection, group)
        return sorted(groups, key=lambda group: (-group.week, -group.newest))

    def dead(
        self,
        handler: str | None = None,
        error_type: str | None = None,
        since: float | None = None,
        until: float | None = None,
        *,
        after: Cursor | None = None,
        limit: int = 50,
    ) -> list[DeadLetter]:
        """List dead letters by the time they died, newest first."""
        table = dead_letters.c
        query = select(dead_letters)
        if handler is not None:
            query = query.where(table.handler == clean(handler, LONGEST_KEY))
        if error_type is not None:
            query = query.where(table.error_type == clean(error_type, LONGEST_KEY))
        if since is not None:
            query = query.where(table.dead_at >= since)
        if until is not None:
            query = query.where(table.dead_at < until)
        if after is not None:
            event_id, _, after_handler = after.id.partition(" ")
            place = tuple_(table.dead_at, table.event_id, table.handler)
            query = query.where(place < tuple_(after.at, event_id, after_handler))
        query = query.order_by(table.dead_at.desc(), table.event_id.desc(), table.handler.desc())
        with self._database.reading() as connection:
            rows = connection.execute(at_most(query, min(limit, MOST_ROWS))).all()
        return [DeadLetter(**row._mapping) for row in rows]  # noqa: SLF001 - the documented way to a row's names


def _first_after(connection: Connection, group: tuple[str, str] | None) -> Row[Any] | None:
    """Find the oldest letter of the next group: a step in an index for each, where DISTINCT would read every letter."""
    table = dead_letters.c
    query = at_most(select(dead_letters).order_by(table.handler, table.error_type, table.dead_at), 1)
    if group is not None:
        query = query.where(tuple_(table.handler, table.error_type) > tuple_(*group))
    return connection.execute(query).first()


def _newest(connection: Connection, group: tuple[str, str]) -> Row[Any]:
    table = dead_letters.c
    mine = (table.handler == group[0], table.error_type == group[1])
    return connection.execute(at_most(select(dead_letters).where(*mine).order_by(table.dead_at.desc()), 1)).one()


def _group(oldest: Row[Any], newest: Row[Any], counted: Row[Any] | None) -> DeadGroup:
    return DeadGroup(
        handler=oldest.handler,
        error_type=oldest.error_type,
        hour=int(counted.hour) if counted is not None else 0,
        day=int(counted.day) if counted is not None else 0,
        week=int(counted.week) if counted is not None else 0,
        oldest=oldest.dead_at,
        newest=newest.dead_at,
        sample=newest.error,
        sample_event_id=newest.event_id,
    )
