"""Make the first tables of the record."""

from alembic import op

from ackfirst.shared.store.tables import metadata, progress

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables."""
    metadata.create_all(op.get_bind())
    op.bulk_insert(progress, [{"id": 1, "position": "0-0", "recorded_at": 0.0}])
