"""Tables of buckets and repositories, who may read them, and what is in them."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from amasia.database.schema import Instant, SealedText, Serial, metadata, workspace

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

publications = Table(
    "publications",
    metadata,
    Column("repository_id", ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    Column("protocols", JSON, nullable=False),
    Column("public", Boolean, nullable=False),
    Column("by", String, nullable=False),
    Column("at", Instant, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("repository_id", ForeignKey("repositories.id"), nullable=False),
    Column("group", String, nullable=False),
    Column("branch", String, nullable=False),
    Column("snapshot", String, nullable=False),
    Column("committed_at", Instant, nullable=False),
    Column("begin_at", BigInteger),
    Column("end_at", BigInteger),
    Column("west", Float),
    Column("south", Float),
    Column("east", Float),
    Column("north", Float),
    Column("first_preview", String, nullable=False),
    Column("summary", JSON, nullable=False),
    UniqueConstraint("repository_id", "group"),
    # All that a search without words looks at, newest last: it reads no row but those that it answers with.
    Index("ix_datasets_search", "committed_at", "repository_id", "begin_at", "end_at", "west", "south", "east", "north",
          "id"),
)  # fmt: skip

dataset_contents = Table(
    "dataset_contents",
    metadata,
    Column("dataset_id", ForeignKey("datasets.id"), primary_key=True),
    Column("variables", JSON, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("html", Text, nullable=False),
)

dataset_variables = Table(
    "dataset_variables",
    metadata,
    Column("dataset_id", ForeignKey("datasets.id"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("lower_name", String, nullable=False),
    Column("standard_name", String, nullable=False),
    Index("ix_dataset_variables_lower_name_dataset_id", "lower_name", "dataset_id"),
    Index("ix_dataset_variables_standard_name_dataset_id", "standard_name", "dataset_id"),
)

previews = Table(
    "previews",
    metadata,
    Column("dataset_id", ForeignKey("datasets.id"), primary_key=True),
    Column("variable", String, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("svg", Text, nullable=False),
)

catalogings = Table(
    "catalogings",
    metadata,
    Column("repository_id", ForeignKey("repositories.id"), primary_key=True),
    Column("snapshot", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("next_at", Instant),
    Column("reason", Text, nullable=False),
)


def _repository(**options: Any) -> Column[Any]:
    return Column("repository_id", ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False, **options)


refs = Table(
    "refs",
    metadata,
    _repository(primary_key=True),
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("snapshot", String, nullable=False),
)

turns = Table(
    "turns",
    metadata,
    _repository(primary_key=True),
    Column("branch", String, primary_key=True),
    Column("id", String, nullable=False),
    Column("user", String, nullable=False),
    Column("until", Instant, nullable=False),
)

diffs = Table(
    "diffs",
    metadata,
    _repository(primary_key=True),
    Column("snapshot", String, primary_key=True),
    Column("diff", JSON, nullable=False),
)

cleanings = Table(
    "cleanings",
    metadata,
    Column("id", String, primary_key=True),
    _repository(index=True),
    Column("older_than", BigInteger, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", String, nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("result", JSON(none_as_null=True)),
)

storage = Table(
    "storage",
    metadata,
    _repository(primary_key=True),
    Column("nbytes", BigInteger, nullable=False),
    Column("objects", BigInteger, nullable=False),
    Column("chunks_nbytes", BigInteger, nullable=False),
    Column("measured_at", Instant, nullable=False),
    Column("charged_until", Instant, nullable=False),
    # Of the last division, so that charges of short stretches lose nothing.
    Column("rest", BigInteger, nullable=False),
)

snapshot_sizes = Table(
    "snapshot_sizes",
    metadata,
    _repository(primary_key=True),
    Column("snapshot", String, primary_key=True),
    # NULL where it could not be told.
    Column("nbytes", BigInteger),
    Column("chunks_nbytes", BigInteger),
)

storage_charges = Table(
    "storage_charges",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    workspace(),
    Column("repository_id", String, nullable=False),
    Column("repository", String, nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    Column("nbytes", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Index("ix_storage_charges_workspace_end", "workspace", "end"),
)

graves = Table(
    "graves",
    metadata,
    Column("repository_id", String, primary_key=True),
    workspace(),
    Column("name", String, nullable=False),
    Column("bucket", String, nullable=False),
    Column("created_by", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("deleted_at", Instant, nullable=False, index=True),
)

arrivals = Table(
    "arrivals",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("repository_id", ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    Column("url", Text, nullable=False),
    Column("by", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("outcome", String, nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_arrivals_repository_id_outcome_id", "repository_id", "outcome", "id"),
)
