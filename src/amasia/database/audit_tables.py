"""The tables of the audit trail: what was done, the chain that closes it, and how far it was exported."""

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, String, Table, UniqueConstraint

from amasia.database.schema import Instant, Serial, metadata

events = Table(
    "events",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("workspace", String),
    Column("actor", String, nullable=False),
    Column("verb", String, nullable=False),
    Column("target", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("source", String, nullable=False),
    Column("detail", JSON, nullable=False),
    # The workspace; empty for the control plane's own. Triggers (see the migration) refuse to change or delete rows.
    Column("chain", String, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String, nullable=False),
    UniqueConstraint("chain", "seq"),
    Index("ix_events_chain_id", "chain", "id"),
)

chains = Table(
    "chains",
    metadata,
    Column("name", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String, nullable=False),
    # Events up to this one were dropped when their time was over.
    Column("dropped_seq", BigInteger, nullable=False),
    Column("dropped_hash", String, nullable=False),
)

# How far each place outside has got with each chain.
exports = Table(
    "exports",
    metadata,
    Column("sink", String, primary_key=True),
    Column("chain", ForeignKey("chains.name"), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("held_until", Instant),
)
