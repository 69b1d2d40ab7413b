"""Every table. Columns carry the names of the models' fields; money is in micro-units, time in UTC."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from amasia.database.audit_tables import (
    chains as chains,
)
from amasia.database.audit_tables import (
    events as events,
)
from amasia.database.audit_tables import (
    exports as exports,
)
from amasia.database.data_tables import (
    arrivals as arrivals,
)
from amasia.database.data_tables import (
    catalogings as catalogings,
)
from amasia.database.data_tables import (
    cleanings as cleanings,
)
from amasia.database.data_tables import (
    dataset_contents as dataset_contents,
)
from amasia.database.data_tables import (
    dataset_variables as dataset_variables,
)
from amasia.database.data_tables import (
    datasets as datasets,
)
from amasia.database.data_tables import (
    diffs as diffs,
)
from amasia.database.data_tables import (
    graves as graves,
)
from amasia.database.data_tables import (
    previews as previews,
)
from amasia.database.data_tables import (
    refs as refs,
)
from amasia.database.data_tables import (
    snapshot_sizes as snapshot_sizes,
)
from amasia.database.data_tables import (
    storage as storage,
)
from amasia.database.data_tables import (
    storage_charges as storage_charges,
)
from amasia.database.data_tables import (
    turns as turns,
)
from amasia.database.money_tables import (
    alerts as alerts,
)
from amasia.database.money_tables import (
    budget_periods as budget_periods,
)
from amasia.database.money_tables import (
    budgets as budgets,
)
from amasia.database.money_tables import (
    channels as channels,
)
from amasia.database.money_tables import (
    charges as charges,
)
from amasia.database.money_tables import (
    cluster_costs as cluster_costs,
)
from amasia.database.money_tables import (
    daily_costs as daily_costs,
)
from amasia.database.money_tables import (
    holds as holds,
)
from amasia.database.money_tables import (
    sendings as sendings,
)
from amasia.database.money_tables import (
    storage_costs as storage_costs,
)
from amasia.database.people_tables import (
    devices as devices,
)
from amasia.database.people_tables import (
    identities as identities,
)
from amasia.database.people_tables import (
    invitations as invitations,
)
from amasia.database.people_tables import (
    revocations as revocations,
)
from amasia.database.schema import Instant, SealedText, Serial, workspace
from amasia.database.schema import metadata as metadata
from amasia.database.secret_tables import (
    keys as keys,
)
from amasia.database.secret_tables import (
    secrets as secrets,
)
from amasia.database.tenant_tables import (
    limits as limits,
)

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

locations = Table(
    "locations",
    metadata,
    workspace(primary_key=True),
    Column("name", String, primary_key=True),
    Column("provider", String, nullable=False),
    Column("region", String, nullable=False),
    Column("offers", JSON, nullable=False),
    Column("max_machines", Integer, nullable=False),
    Column("options", JSON, nullable=False, server_default="{}"),
    Column("secrets", SealedText, nullable=False, server_default=""),
    Column("control_plane", String, nullable=False, server_default=""),
    Column("private_endpoints", Boolean, nullable=False, server_default=false()),
    Column("status", String, nullable=False, server_default="ready"),
    Column("findings", JSON, nullable=False, server_default="[]"),
    Column("checked_at", Instant),
    Column("created_at", Instant),
    Column("boot_seconds", Float),
)

standbys = Table(
    "standbys",
    metadata,
    workspace(primary_key=True),
    Column("location", String, primary_key=True),
    Column("machine_type", String, primary_key=True),
    Column("machines", Integer, nullable=False),
    Column("until", Instant),
    Column("created_by", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
)

environments = Table(
    "environments",
    metadata,
    workspace(primary_key=True),
    Column("hash", String, primary_key=True),
    Column("environment", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    workspace(primary_key=True),
    Column("sha256", String, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)

buckets = Table(
    "buckets",
    metadata,
    workspace(primary_key=True),
    Column("name", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("uri", String, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("region", String, nullable=False),
    Column("keys", SealedText, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("status", String, nullable=False, server_default="ready"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("private_endpoint", Boolean, nullable=False, server_default=false()),
    Column("egress_price", BigInteger),
)

repositories = Table(
    "repositories",
    metadata,
    Column("id", String, primary_key=True),
    workspace(),
    Column("name", String, nullable=False),
    Column("bucket", String, nullable=False),
    Column("status", String, nullable=False),
    Column("description", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_by", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("stale_since", Instant),
    Column("lent_until", Instant),
    UniqueConstraint("workspace", "name"),
)

commits = Table(
    "commits",
    metadata,
    Column("id", String, primary_key=True),
    Column("repository_id", ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    Column("cluster_id", String, index=True),
    Column("branch", String, nullable=False),
    Column("status", String, nullable=False),
    Column("snapshot", String, nullable=False),
    Column("parent", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("provenance", JSON(none_as_null=True)),
    Column("metadata", JSON, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("milliseconds", BigInteger, nullable=False),
    Column("reported_at", Instant),
    Index("ix_commits_repository_id_at", "repository_id", "at"),
    Index("ix_commits_repository_id_snapshot", "repository_id", "snapshot"),
)

clusters = Table(
    "clusters",
    metadata,
    Column("id", String, primary_key=True),
    workspace(),
    Column("name", String, nullable=False),
    Column("owner", ForeignKey("users.name"), nullable=False),
    Column("location", String, nullable=False),
    Column("status", String, nullable=False),
    Column("target", String, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("placement", JSON(none_as_null=True)),
    Column("environment_hash", String, nullable=False),
    Column("wanted_workers", Integer, nullable=False),
    Column("wanted_groups", JSON, nullable=False, server_default="{}"),
    Column("scheduler_address", String, nullable=False),
    Column("dashboard_address", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("stopped_at", Instant),
    Column("ends_at", Instant),
    Column("tls_ca", Text, nullable=False),
    Column("tls_certificate", Text, nullable=False),
    Column("tls_key", SealedText, nullable=False),
    Index("ix_clusters_workspace_created_at", "workspace", "created_at"),
    # One live cluster of a name; stopped ones keep theirs.
    Index(
        "uq_clusters_live_name",
        "workspace",
        "name",
        unique=True,
        sqlite_where=text("status != 'stopped'"),
        postgresql_where=text("status != 'stopped'"),
    ),
)

machines = Table(
    "machines",
    metadata,
    Column("id", String, primary_key=True),
    workspace(),
    Column("location", String, nullable=False),
    Column("cluster_id", ForeignKey("clusters.id"), index=True),
    Column("owner", String, nullable=False),
    Column("role", String, nullable=False),
    Column("index", Integer, nullable=False),
    Column("group", String, nullable=False, server_default=""),
    Column("status", String, nullable=False, index=True),
    Column("target", String, nullable=False),
    Column("machine_type", String, nullable=False),
    Column("cpus", Float, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("spot", Boolean, nullable=False, server_default=false()),
    Column("fallback", Boolean, nullable=False, server_default=false()),
    Column("zone", String, nullable=False, server_default=""),
    Column("alternatives", JSON, nullable=False, server_default="[]"),
    Column("no_room", JSON, nullable=False, server_default="[]"),
    Column("tags", JSON, nullable=False, server_default="{}"),
    Column("groups", JSON, nullable=False, server_default="[]"),
    Column("handle", JSON, nullable=False),
    Column("lease_until", Instant),
    Column("started_at", Instant),
    Column("stopped_at", Instant),
    Column("last_heartbeat_at", Instant),
    Column("address", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("stages", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("charged_ms", BigInteger, nullable=False),
    Column("charged_amount", BigInteger, nullable=False),
    Column("join_hash", String, nullable=False),
    Column("claimed_until", Instant),
    Column("tries", Integer, nullable=False),
    # Of its log, as far as it is kept.
    Column("log_bytes", BigInteger, nullable=False, server_default="0"),
)

logs = Table(
    "logs",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("cluster_id", String, nullable=False),
    Column("machine_id", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("text", Text, nullable=False),
    Index("ix_logs_cluster_id_id", "cluster_id", "id"),
)

notices = Table(
    "notices",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("cluster_id", String, nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("text", Text, nullable=False),
    Column("told", Boolean, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("repository_id", ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    Column("grantee", String, primary_key=True, index=True),
    # `Level.rank`, so that the database itself finds the highest.
    Column("rank", Integer, nullable=False),
    Column("granted_by", String, nullable=False),
    Column("at", Instant, nullable=False),
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

views = Table(
    "views",
    metadata,
    Column("id", String, primary_key=True),
    workspace(),
    Column("name", String, nullable=False),
    Column("owner", ForeignKey("users.name"), nullable=False),
    Column("source_id", ForeignKey("repositories.id"), nullable=False, index=True),
    Column("source_group", String, nullable=False),
    Column("target_id", ForeignKey("repositories.id"), nullable=False),
    Column("target_group", String, nullable=False),
    Column("along", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("plan", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("environment_hash", String, nullable=False),
    Column("trigger", String, nullable=False),
    Column("schedule", String, nullable=False),
    Column("workers", Integer, nullable=False),
    Column("worker_memory", BigInteger, nullable=False),
    Column("location", String),
    Column("paused", Boolean, nullable=False),
    Column("snapshot", String, nullable=False),
    Column("seen", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("retry_at", Instant),
    Column("next_at", Instant),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("workspace", "name"),
    UniqueConstraint("target_id", "target_group"),
)

refreshes = Table(
    "refreshes",
    metadata,
    Column("id", String, primary_key=True),
    Column("view_id", ForeignKey("views.id", ondelete="CASCADE"), nullable=False),
    Column("status", String, nullable=False),
    Column("trigger", String, nullable=False),
    Column("by", String, nullable=False),
    Column("from_snapshot", String, nullable=False),
    Column("to_snapshot", String, nullable=False),
    Column("applied", JSON, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("began_at", Instant),
    Column("ended_at", Instant),
    Column("cluster_id", String, index=True),
    Column("claim_hash", String, nullable=False),
    Column("claimed_until", Instant),
    Index("ix_refreshes_view_id_requested_at", "view_id", "requested_at"),
    # One at a time for each view: whoever asks twice gets the same one.
    Index(
        "uq_refreshes_live",
        "view_id",
        unique=True,
        sqlite_where=text("status in ('requested', 'running')"),
        postgresql_where=text("status in ('requested', 'running')"),
    ),
)

publications = Table(
    "publications",
    metadata,
    Column("repository_id", ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    Column("protocols", JSON, nullable=False),
    Column("public", Boolean, nullable=False),
    Column("by", String, nullable=False),
    Column("at", Instant, nullable=False),
)
