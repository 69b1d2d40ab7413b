"""The tables of money: what may be spent, what was, and who is told. Amounts are in micro-units."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from amasia.database.schema import Instant, SealedText, Serial, metadata, workspace

budgets = Table(
    "budgets",
    metadata,
    Column("id", String, primary_key=True),
    workspace(),
    Column("name", String, nullable=False),
    Column("scope_kind", String, nullable=False),
    Column("scope_name", String, nullable=False),
    Column("period", String, nullable=False),
    Column("starts", Date),
    Column("ends", Date),
    Column("hard", Boolean, nullable=False),
    Column("limit", BigInteger, nullable=False),
    Column("owner", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("workspace", "name"),
)

budget_periods = Table(
    "budget_periods",
    metadata,
    Column("budget_id", ForeignKey("budgets.id"), primary_key=True),
    # Of the period: 2026-11-25, 2026-11, or empty where there is one only.
    Column("key", String, primary_key=True),
    Column("spent", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    # The highest mark of which people were told.
    Column("told", Integer, nullable=False, server_default="0"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    workspace(),
    Column("budget", String, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("user", String, nullable=False),
    Column("at", Instant, nullable=False),
    # By a terminal.
    Column("shown_at", Instant),
    Index("ix_alerts_user_shown_at", "user", "shown_at"),
    Index("ix_alerts_workspace_user_id", "workspace", "user", "id"),
)

channels = Table(
    "channels",
    metadata,
    Column("id", String, primary_key=True),
    Column("user", ForeignKey("users.name"), nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("address", String, nullable=False),
    Column("private", Boolean, nullable=False),
    Column("secret", SealedText, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)

# Alerts that are to go out by a channel; gone when they went.
sendings = Table(
    "sendings",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("alert_id", ForeignKey("alerts.id", ondelete="CASCADE"), nullable=False),
    Column("channel_id", ForeignKey("channels.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("tries", Integer, nullable=False),
    Column("due_at", Instant),
)

# What each machine has reserved in each budget. Read and written only by whoever has locked the workspace.
holds = Table(
    "holds",
    metadata,
    Column("machine_id", String, primary_key=True),
    Column("budget_id", ForeignKey("budgets.id"), primary_key=True, index=True),
    Column("key", String, primary_key=True),
    Column("amount", BigInteger, nullable=False),
)

charges = Table(
    "charges",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    workspace(),
    Column("user", String, nullable=False),
    Column("cluster_id", String),
    Column("machine_id", String, nullable=False, index=True),
    Column("machine_type", String, nullable=False),
    Column("group", String, nullable=False, server_default=""),
    Column("location", String, nullable=False, server_default=""),
    # JSON in one order, so that it can be grouped by; so are the groups of members.
    Column("tags", String, nullable=False, server_default="{}"),
    Column("groups", String, nullable=False, server_default="[]"),
    Column("day", String, nullable=False, server_default=""),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    Column("milliseconds", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Index("ix_charges_workspace_end", "workspace", "end"),
)

# Sums of charges, written in the transaction of each: for each way to cut the bill a row of each day and key, once for
# its user and once for all, so that there are as few to read as lines and days, however many charges there are.
daily_costs = Table(
    "daily_costs",
    metadata,
    workspace(primary_key=True),
    # As models.costs.Cut; where it is by day, the key is empty.
    Column("cut", String, primary_key=True),
    # Empty for all users together.
    Column("user", String, primary_key=True),
    Column("day", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("milliseconds", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
)

# The same by cluster; the cluster's id is empty for what was kept warm.
cluster_costs = Table(
    "cluster_costs",
    metadata,
    workspace(primary_key=True),
    Column("cluster_id", String, primary_key=True),
    Column("group", String, primary_key=True),
    Column("user", String, primary_key=True),
    Column("day", String, primary_key=True),
    Column("milliseconds", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
)

# What clouds' bills say of data that left, by resource and day of the bill.
egress = Table(
    "egress",
    metadata,
    workspace(primary_key=True),
    Column("day", String, primary_key=True),
    # As its cloud names it: an instance's id or name, a bucket, a storage account.
    Column("resource", String, primary_key=True),
    # Of a machine, else empty; the cluster's id is empty for what was kept warm, too.
    Column("machine_id", String, nullable=False),
    Column("user", String, nullable=False),
    Column("cluster_id", String, nullable=False),
    # Of a bucket with one repository, else empty.
    Column("repository_id", String, nullable=False),
    Column("amount", BigInteger, nullable=False),
)

# The same summed by user or bucket, each time that it is told.
egress_costs = Table(
    "egress_costs",
    metadata,
    workspace(primary_key=True),
    Column("day", String, primary_key=True),
    # Whose machines; empty for buckets.
    Column("user", String, primary_key=True),
    # The resource; empty for machines.
    Column("bucket", String, primary_key=True),
    Column("repository_id", String, primary_key=True),
    Column("amount", BigInteger, nullable=False),
)

# The same of charges of storage, by the day of each one's end.
storage_costs = Table(
    "storage_costs",
    metadata,
    workspace(primary_key=True),
    Column("repository_id", String, primary_key=True),
    Column("repository", String, primary_key=True),
    Column("day", String, primary_key=True),
    Column("amount", BigInteger, nullable=False),
)
