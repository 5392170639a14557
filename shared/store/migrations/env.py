"""Run migrations on the connection that ``ackfirst.shared.store.schema`` hands over. Alembic executes this file."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
context.run_migrations()
