"""Make the first tables of the record.

A copy of ``ackfirst.shared.store.tables`` as it was then: a migration never changes once it is released.
"""

from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

revision = "0001"
down_revision = None

metadata = MetaData()


def _key(name: str, kind: Any = Text) -> Column[Any]:
    return Column(name, kind, primary_key=True, nullable=False, autoincrement=False)


def _text(name: str) -> Column[str | None]:
    return Column(name, Text)


def _needed(name: str, kind: Any = Text) -> Column[Any]:
    return Column(name, kind, nullable=False)


events = Table(
    "events",
    metadata,
    _key("received_at", Double),
    _key("event_id"),
    _text("account"),
    _text("application_id"),
    _needed("lane"),
    _text("family"),
    _text("channel"),
    _text("message_id"),
    _text("client_ref"),
    _text("status"),
    _text("sender"),
    _text("recipient"),
    Column("occurred_at", Double),
    _text("encoding"),
    _text("content_type"),
    Column("body", LargeBinary),
    Column("query", LargeBinary),
    _text("trace"),
    _text("price"),
    _needed("state"),
    _needed("state_at", Double),
    _needed("attempts", Integer),
    _text("reason"),
    Column("recorded_at", Double),
    Column("redacted_at", Double),
    postgresql_partition_by="RANGE (received_at)",
)

RARE_STATES = text("state IN ('waiting', 'retrying', 'discarded', 'dead', 'rejected')")

Index("events_event_id", events.c.event_id)
Index("events_message_id", events.c.message_id)
_REFERRED = events.c.client_ref.is_not(None)
Index(
    "events_client_ref",
    events.c.client_ref,
    events.c.received_at,
    sqlite_where=_REFERRED,
    postgresql_where=_REFERRED,
)
for _name in ("sender", "recipient", "status", "family", "account", "application_id", "lane"):
    Index(f"events_{_name}", events.c[_name], events.c.received_at)
Index("events_state", events.c.state, events.c.received_at, sqlite_where=RARE_STATES, postgresql_where=RARE_STATES)
Index("events_recorded_at", events.c.recorded_at)

attempts = Table(
    "attempts",
    metadata,
    _key("received_at", Double),
    _key("event_id"),
    _key("started", Double),
    _key("handler"),
    _needed("number", Integer),
    _needed("worker"),
    _needed("seconds", Double),
    _needed("ending"),
    _text("error_type"),
    _text("message"),
    _text("returned"),
    _text("replay"),
    postgresql_partition_by="RANGE (received_at)",
    sqlite_with_rowid=False,
)

requests = Table(
    "requests",
    metadata,
    _needed("at", Double),
    _needed("kind"),
    _text("event_id"),
    _text("account"),
    _text("application_id"),
    _text("family"),
    _text("verdict"),
    _text("reason"),
    _needed("count", Integer),
    postgresql_partition_by="RANGE (at)",
)
Index("requests_at", requests.c.at)
_EVENT = requests.c.event_id.is_not(None)
Index("requests_event_id", requests.c.event_id, sqlite_where=_EVENT, postgresql_where=_EVENT)

progress = Table("progress", metadata, _key("id", Integer), _needed("position"), _needed("recorded_at", Double))

dead_letters = Table(
    "dead_letters",
    metadata,
    _key("received_at", Double),
    _key("event_id"),
    _key("handler"),
    _text("message_id"),
    _needed("lane"),
    _needed("error_type"),
    _needed("error"),
    _needed("attempts", Integer),
    _needed("dead_at", Double),
)
Index("dead_letters_dead_at", dead_letters.c.dead_at, dead_letters.c.event_id)
Index(
    "dead_letters_group",
    dead_letters.c.handler,
    dead_letters.c.error_type,
    dead_letters.c.dead_at,
    dead_letters.c.event_id,
)

dead_minutes = Table(
    "dead_minutes",
    metadata,
    _key("handler"),
    _key("error_type"),
    _key("at", BigInteger),
    _needed("n", BigInteger),
    sqlite_with_rowid=False,
)

counts = Table(
    "counts",
    metadata,
    _key("step", Integer),
    _key("at", BigInteger),
    _key("kind"),
    _key("name"),
    _needed("n", BigInteger),
    sqlite_with_rowid=False,
)

handler_counts = Table(
    "handler_counts",
    metadata,
    _key("step", Integer),
    _key("at", BigInteger),
    _key("handler"),
    _key("bucket", Double),
    _needed("runs", BigInteger),
    _needed("failures", BigInteger),
    _needed("seconds", Double),
    sqlite_with_rowid=False,
)

handler_errors = Table(
    "handler_errors",
    metadata,
    _key("handler"),
    _needed("at", Double),
    _needed("event_id"),
    _needed("error_type"),
    _needed("message"),
)

applications = Table(
    "applications",
    metadata,
    _key("account"),
    _key("application_id"),
    _needed("last_at", Double),
    _needed("n", BigInteger),
)

gaps = Table(
    "gaps",
    metadata,
    Column("id", Integer, primary_key=True),
    _needed("from_at", Double),
    _needed("to_at", Double),
    _needed("n", BigInteger),
    _needed("reason"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    _needed("at", Double),
    _needed("who"),
    _needed("act"),
    _needed("subject"),
    _needed("detail"),
)
Index("audit_at", audit.c.at)

replays = Table(
    "replays",
    metadata,
    _key("id"),
    _needed("name"),
    _needed("created_at", Double),
    _needed("who"),
    _needed("reason"),
    _needed("filter"),
    _needed("handlers"),
    _needed("fresh", Boolean),
    _needed("rate", Double),
    _needed("state"),
    _needed("total", BigInteger),
    _needed("moved", BigInteger),
    _needed("skipped", BigInteger),
    _needed("died", BigInteger),
    _needed("cursor"),
    _needed("note"),
    _needed("updated_at", Double),
)
Index("replays_created_at", replays.c.created_at)


def upgrade() -> None:
    """Make all tables; of a database that has tables of these names, none."""
    metadata.create_all(op.get_bind(), checkfirst=False)
    op.bulk_insert(progress, [{"id": 1, "position": "0-0", "recorded_at": 0.0}])
