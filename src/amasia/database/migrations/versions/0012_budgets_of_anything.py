"""budgets of anything"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from amasia.models.base import new_id


revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    tx = op.get_bind()
    op.add_column("workspaces", sa.Column("time_zone", sa.String(), server_default="UTC", nullable=False))
    never = sa.Column("confirm_above", sa.BigInteger(), server_default="4611686018427387903", nullable=False)
    op.add_column("workspaces", never)
    op.add_column("machines", sa.Column("tags", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("clusters", sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("charges", sa.Column("location", sa.String(), server_default="", nullable=False))
    op.add_column("charges", sa.Column("tags", sa.String(), server_default="{}", nullable=False))
    op.add_column("charges", sa.Column("day", sa.String(), server_default="", nullable=False))
    _date_charges(tx)
    old = tx.execute(sa.text('SELECT workspace, "limit", spent, reserved FROM budgets')).all()
    op.drop_table("budgets")
    budgets = op.create_table(
        "budgets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scope_kind", sa.String(), nullable=False),
        sa.Column("scope_name", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("starts", sa.Date(), nullable=True),
        sa.Column("ends", sa.Date(), nullable=True),
        sa.Column("hard", sa.Boolean(), nullable=False),
        sa.Column("limit", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.name"], name=op.f("fk_budgets_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budgets")),
        sa.UniqueConstraint("workspace", "name", name=op.f("uq_budgets_workspace_name")),
    )
    periods = op.create_table(
        "budget_periods",
        sa.Column("budget_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.id"], name=op.f("fk_budget_periods_budget_id")),
        sa.PrimaryKeyConstraint("budget_id", "key", name=op.f("pk_budget_periods")),
    )
    holds = op.create_table(
        "holds",
        sa.Column("machine_id", sa.String(), nullable=False),
        sa.Column("budget_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.id"], name=op.f("fk_holds_budget_id")),
        sa.PrimaryKeyConstraint("machine_id", "budget_id", "key", name=op.f("pk_holds")),
    )
    op.create_index("ix_holds_budget_id", "holds", ["budget_id"])
    op.create_table(
        "alerts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("budget", sa.String(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shown_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.name"], name=op.f("fk_alerts_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index("ix_alerts_user_shown_at", "alerts", ["user", "shown_at"])
    op.create_index("ix_alerts_workspace_user_id", "alerts", ["workspace", "user", "id"])
    op.create_table(
        "channels",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("private", sa.Boolean(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_channels_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
    )
    op.create_index("ix_channels_user", "channels", ["user"])
    op.create_table(
        "sendings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("alert_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("channel_id", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_sendings_alert_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_sendings_channel_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sendings")),
    )
    op.create_index("ix_sendings_channel_id", "sendings", ["channel_id"])
    ids = {row.workspace: new_id("bu") for row in old}
    rest = {
        "name": "workspace",
        "scope_kind": "workspace",
        "scope_name": "",
        "period": "total",
        "hard": True,
        "owner": "",
        "created_at": datetime.now(UTC),
    }
    op.bulk_insert(
        budgets, [{**rest, "id": ids[row.workspace], "workspace": row.workspace, "limit": row.limit} for row in old]
    )
    op.bulk_insert(
        periods,
        [{"budget_id": ids[row.workspace], "key": "", "spent": row.spent, "reserved": row.reserved} for row in old],
    )
    promised = tx.execute(sa.text("SELECT id, workspace, reserved FROM machines WHERE reserved > 0")).all()
    op.bulk_insert(
        holds,
        [
            {"machine_id": row.id, "budget_id": ids[row.workspace], "key": "", "amount": row.reserved}
            for row in promised
            if row.workspace in ids
        ],
    )


def _date_charges(tx: sa.Connection) -> None:
    """Charges until now are of the day in UTC on which they ended, and of their machine's location."""
    if tx.dialect.name == "postgresql":
        tx.execute(sa.text("""UPDATE charges SET day = to_char("end" AT TIME ZONE 'UTC', 'YYYY-MM-DD')"""))
    else:
        tx.execute(sa.text('UPDATE charges SET day = substr("end", 1, 10)'))
    tx.execute(
        sa.text(
            "UPDATE charges SET location = coalesce((SELECT location FROM machines WHERE machines.id = charges.machine_id), '')"
        )
    )


def downgrade() -> None:
    tx = op.get_bind()
    main = "SELECT b.workspace, b.\"limit\", p.spent, p.reserved FROM budgets b JOIN budget_periods p ON p.budget_id = b.id WHERE b.name = 'workspace'"
    old = [dict(row) for row in tx.execute(sa.text(main)).mappings()]
    op.drop_table("sendings")
    op.drop_table("channels")
    op.drop_table("alerts")
    op.drop_table("holds")
    op.drop_table("budget_periods")
    op.drop_table("budgets")
    budgets = op.create_table(
        "budgets",
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("limit", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.name"], name=op.f("fk_budgets_workspace")),
        sa.PrimaryKeyConstraint("workspace", name=op.f("pk_budgets")),
    )
    op.bulk_insert(budgets, old)
    for table, columns in (
        ("charges", ("location", "tags", "day")),
        ("clusters", ("ends_at",)),
        ("machines", ("tags",)),
        ("workspaces", ("time_zone", "confirm_above")),
    ):
        for column in columns:
            op.drop_column(table, column)
