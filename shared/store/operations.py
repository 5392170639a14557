"""Keep what operators do: replays, and the audit of every act that changed something."""

from typing import Any

from sqlalchemy import BigInteger, Row, and_, cast, func, select, text, update

from ackfirst.shared.record import field_names
from ackfirst.shared.store.paging import plan_with_values
from ackfirst.shared.store.part import StorePart
from ackfirst.shared.store.partitions import DAY_SECONDS
from ackfirst.shared.store.reading import MOST_ROWS, filtered_whole
from ackfirst.shared.store.results import ReplayDay
from ackfirst.shared.store.rows import AuditRow, EventFilter, Replay
from ackfirst.shared.store.tables import audit, dead_letters, events, replays
from ackfirst.shared.store.texts import clean


class Operations(StorePart):
    """Keeps replays and the audit."""

    def audit(self, row: AuditRow) -> None:
        """Record an act."""
        texts = {name: clean(getattr(row, name)) for name in ("who", "act", "subject", "detail")}
        with self._database.writing() as connection:
            connection.execute(audit.insert().values(at=row.at, **texts))

    def audit_rows(self, since: float = 0.0, limit: int = 100, *, act: str | None = None) -> list[AuditRow]:
        """List acts, newest first; with ``act`` only those of that name."""
        query = select(audit).where(audit.c.at >= since).order_by(audit.c.at.desc(), audit.c.id.desc())
        if act is not None:
            query = query.where(audit.c.act == act)
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(min(limit, MOST_ROWS))).all()
        return [AuditRow(row.at, row.who, row.act, row.subject, row.detail) for row in rows]

    def replay_new(self, replay: Replay) -> None:
        """Record a new replay. Does nothing if its id is known."""
        values = _cleaned({name: getattr(replay, name) for name in field_names(Replay)})
        with self._database.writing() as connection:
            if connection.execute(select(replays.c.id).where(replays.c.id == values["id"])).first() is None:
                connection.execute(replays.insert().values(values))

    def replay(self, replay_id: str) -> Replay | None:
        """Return a replay; None if there is none of this id."""
        with self._database.reading() as connection:
            row = connection.execute(select(replays).where(replays.c.id == clean(replay_id))).first()
        return None if row is None else _replay(row)

    def replays(self, limit: int = 50) -> list[Replay]:
        """List replays, newest first."""
        query = select(replays).order_by(replays.c.created_at.desc(), replays.c.id.desc())
        with self._database.reading() as connection:
            return [_replay(row) for row in connection.execute(query.limit(min(limit, MOST_ROWS)))]

    def replay_plan(self, wanted: EventFilter) -> list[ReplayDay]:
        """Count the events that a replay would run, by day, family and state; oldest day first.

        Exact, and so a scan of the filter's range: a plan must not stop at a cap that its replay does not have.
        """
        seen = (func.min(events.c.received_at), func.max(events.c.received_at))
        with self._database.reading() as connection:
            plan_with_values(connection, wanted)
            days = events.c.received_at / DAY_SECONDS
            # PostgreSQL rounds where SQLite cuts, and SQLite may have been built without floor().
            day = cast(days if connection.dialect.name == "sqlite" else func.floor(days), BigInteger).label("day")
            found = select(day, events.c.family, events.c.state, func.count(), *seen)
            query = filtered_whole(connection, found, wanted)
            order = (text("day"), events.c.family, events.c.state)
            rows = connection.execute(query.group_by(*order).order_by(*order)).all()
        return [
            ReplayDay(
                day=float(day * DAY_SECONDS),
                family=family or "",
                state=state,
                count=count,
                oldest=oldest,
                newest=newest,
            )
            for day, family, state, count, oldest, newest in rows
        ]

    def replay_handlers(self, wanted: EventFilter) -> dict[str, int]:
        """Count the dead handlers of the events that a replay would run; the empty name stands for no handler."""
        letters = dead_letters.alias("letters")  # the filter may ask for one of them under the table's own name
        mine = and_(letters.c.received_at == events.c.received_at, letters.c.event_id == events.c.event_id)
        query = select(letters.c.handler, func.count()).select_from(events).join(letters, mine)
        query = query.group_by(letters.c.handler).order_by(letters.c.handler)
        with self._database.reading() as connection:
            plan_with_values(connection, wanted)
            return {row[0]: row[1] for row in connection.execute(filtered_whole(connection, query, wanted))}

    def replay_update(self, replay_id: str, **changes: Any) -> bool:
        """Change fields of a replay; return whether there is one of this id."""
        if unknown := set(changes) - set(field_names(Replay)):
            raise TypeError(f"a replay has no field {', '.join(sorted(unknown))}")
        statement = update(replays).where(replays.c.id == clean(replay_id)).values(_cleaned(changes))
        with self._database.writing() as connection:
            return connection.execute(statement).rowcount == 1


def _cleaned(values: dict[str, Any]) -> dict[str, Any]:
    return {name: clean(value, 100_000) if isinstance(value, str) else value for name, value in values.items()}


def _replay(row: Row[Any]) -> Replay:
    return Replay(**row._mapping)  # noqa: SLF001 - the documented way to a row's names
