"""The tables of what nobody reads: secrets of workspaces, and the keys that everything sealed is sealed with."""

from sqlalchemy import Column, Integer, String, Table, Text

from amasia.database.schema import Instant, SealedText, metadata, workspace

secrets = Table(
    "secrets",
    metadata,
    workspace(primary_key=True),
    Column("grantee", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("value", SealedText, nullable=False),
    Column("set_by", String, nullable=False),
    Column("set_at", Instant, nullable=False),
    Column("last_used_at", Instant),
)

keys = Table(
    "keys",
    metadata,
    # Sealed text begins with the number of its key.
    Column("number", Integer, primary_key=True, autoincrement=True),
    # What it is for: see `database.keys`.
    Column("purpose", String, nullable=False),
    # By the master key, which is kept elsewhere; empty for a key that is wished for.
    Column("wrapped", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    # Why the wish has not come true yet.
    Column("reason", Text, nullable=False, server_default=""),
    # Numbers are never given twice.
    sqlite_autoincrement=True,
)
