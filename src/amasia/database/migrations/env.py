"""Alembic runs this; the connection is given by `Database.migrate`, or by `make migration`."""

from alembic import context

from amasia.database import words
from amasia.database.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
    # Full text is each database's own kind of table, which SQLAlchemy has no word for.
    include_name=lambda name, kind, _: kind != "table" or not words.is_ours(name),
)
with context.begin_transaction():
    context.run_migrations()
