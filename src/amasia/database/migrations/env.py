"""Alembic runs this; the connection is given by `Database.migrate`, or by `make migration`."""

from alembic import context

from amasia.database.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
