"""Run migrations on the connection that ``ackfirst.shared.store.schema`` hands over. Alembic executes this file."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"], version_table=context.config.attributes["version_table"]
)
context.run_migrations()
