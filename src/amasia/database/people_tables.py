"""The tables of the door: who somebody is elsewhere, what lets them in, and what they lost."""

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table

from amasia.database.schema import Instant, metadata

identities = Table(
    "identities",
    metadata,
    Column("issuer", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("user", ForeignKey("users.name"), nullable=False, index=True),
    Column("provider", String, nullable=False),
    Column("email", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant, nullable=False),
    # By workspace, what its claims gave when they were last seen.
    Column("given", JSON, nullable=False, server_default="{}"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("hash", String, primary_key=True),
    Column("user", ForeignKey("users.name"), nullable=False, unique=True),
    Column("created_by", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

devices = Table(
    "devices",
    metadata,
    Column("id", String, primary_key=True),
    # Of the code that the device keeps, and of the one that people type.
    Column("hash", String, nullable=False, unique=True),
    Column("user_hash", String, nullable=False, unique=True),
    Column("label", String, nullable=False),
    Column("days", Integer, nullable=False),
    Column("source", String, nullable=False),
    Column("status", String, nullable=False),
    # Whoever approved it.
    Column("user", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("polled_at", Instant),
)

revocations = Table(
    "revocations",
    metadata,
    Column("id", String, primary_key=True),
    Column("workspace", String, nullable=False),
    Column("user", String, nullable=False),
    # The name in the store of what was lent to them until then.
    Column("session", String, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_revocations_workspace_user", "workspace", "user"),
)
