"""Tables of people and workspaces: who is who, who is in what, what lets somebody in, and what they lost."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from amasia.database.schema import Instant, metadata, workspace

users = Table(
    "users",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("issuer", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("password_hash", String),
    Column("operator", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("removed_at", Instant),
    UniqueConstraint("issuer", "subject"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("user", ForeignKey("users.name"), nullable=False, index=True),
    Column("label", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("prefix", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),
    Column("workspace", String),
    Column("cluster_id", String, index=True),
    Column("machine_id", String, index=True),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("last_used_at", Instant),
    # A session's: it ends when it was not used for so long.
    Column("idle_seconds", Integer),
)

workspaces = Table(
    "workspaces",
    metadata,
    Column("name", String, primary_key=True),
    Column("currency", String, nullable=False),
    Column("regions", JSON, nullable=False, server_default="[]"),
    Column("time_zone", String, nullable=False, server_default="UTC"),
    Column("confirm_above", BigInteger, nullable=False, server_default="4611686018427387903"),
    Column("created_at", Instant, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    workspace(primary_key=True),
    Column("user", ForeignKey("users.name"), primary_key=True, index=True),
    Column("role", String, nullable=False),
    # The issuer whose claims gave it, and which they were; empty where somebody did.
    Column("origin", String, nullable=False, server_default=""),
    Column("claims", JSON, nullable=False, server_default="[]"),
)

groups = Table(
    "groups",
    metadata,
    workspace(primary_key=True),
    Column("name", String, primary_key=True),
    Column("created_at", Instant, nullable=False),
)

group_members = Table(
    "group_members",
    metadata,
    Column("workspace", String, primary_key=True),
    Column("group", String, primary_key=True),
    Column("user", ForeignKey("users.name"), primary_key=True, index=True),
    # The issuer whose claims put them there; empty where somebody did.
    Column("origin", String, nullable=False, server_default=""),
    ForeignKeyConstraint(["workspace", "group"], ["groups.workspace", "groups.name"], ondelete="CASCADE"),
)

failures = Table(
    "failures",
    metadata,
    # Of sign-ins: ``name:ada``, ``source:192.0.2.1``; of denials, and of lendings to a machine: ``lend:ma-…``.
    Column("key", String, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("since", Instant, nullable=False),
)

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
