"""Keep what operators do: replays, and the audit of every act that changed something."""

from typing import Any

from sqlalchemy import Row, select, update

from ackfirst.shared.record import field_names
from ackfirst.shared.store.part import StorePart
from ackfirst.shared.store.reading import MOST_ROWS
from ackfirst.shared.store.rows import AuditRow, Replay
from ackfirst.shared.store.tables import audit, replays
from ackfirst.shared.store.texts import clean


class Operations(StorePart):
    """Keeps replays and the audit."""

    def audit(self, row: AuditRow) -> None:
        """Record an act."""
        texts = {name: clean(getattr(row, name)) for name in ("who", "act", "subject", "detail")}
        with self._database.writing() as connection:
            connection.execute(audit.insert().values(at=row.at, **texts))

    def audit_rows(self, since: float = 0.0, limit: int = 100) -> list[AuditRow]:
        """List acts, newest first."""
        query = select(audit).where(audit.c.at >= since).order_by(audit.c.at.desc(), audit.c.id.desc())
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
