"""Alembic's way in: migrate over the connection, and inside the transaction, that `store.sql.migrate` holds."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
