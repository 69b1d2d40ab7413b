"""views"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "views",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("source_group", sa.String(), nullable=False),
        sa.Column("target_id", sa.String(), nullable=False),
        sa.Column("target_group", sa.String(), nullable=False),
        sa.Column("along", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("function", sa.Text(), nullable=False),
        sa.Column("environment_hash", sa.String(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("schedule", sa.String(), nullable=False),
        sa.Column("workers", sa.Integer(), nullable=False),
        sa.Column("worker_memory", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.String(), nullable=True),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("seen", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner"], ["users.name"], name=op.f("fk_views_owner")),
        sa.ForeignKeyConstraint(["source_id"], ["repositories.id"], name=op.f("fk_views_source_id")),
        sa.ForeignKeyConstraint(["target_id"], ["repositories.id"], name=op.f("fk_views_target_id")),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.name"], name=op.f("fk_views_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_views")),
        sa.UniqueConstraint("target_id", "target_group", name=op.f("uq_views_target_id_target_group")),
        sa.UniqueConstraint("workspace", "name", name=op.f("uq_views_workspace_name")),
    )
    with op.batch_alter_table("views", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_views_source_id"), ["source_id"], unique=False)

    op.create_table(
        "refreshes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("view_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("from_snapshot", sa.String(), nullable=False),
        sa.Column("to_snapshot", sa.String(), nullable=False),
        sa.Column("applied", sa.JSON(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cluster_id", sa.String(), nullable=True),
        sa.Column("claim_hash", sa.String(), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["view_id"], ["views.id"], name=op.f("fk_refreshes_view_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refreshes")),
    )
    with op.batch_alter_table("refreshes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_refreshes_cluster_id"), ["cluster_id"], unique=False)
        batch_op.create_index("ix_refreshes_view_id_requested_at", ["view_id", "requested_at"], unique=False)
        batch_op.create_index(
            "uq_refreshes_live",
            ["view_id"],
            unique=True,
            sqlite_where=sa.text("status in ('requested', 'running')"),
            postgresql_where=sa.text("status in ('requested', 'running')"),
        )


def downgrade() -> None:
    with op.batch_alter_table("refreshes", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_refreshes_live",
            sqlite_where=sa.text("status in ('requested', 'running')"),
            postgresql_where=sa.text("status in ('requested', 'running')"),
        )
        batch_op.drop_index("ix_refreshes_view_id_requested_at")
        batch_op.drop_index(batch_op.f("ix_refreshes_cluster_id"))

    op.drop_table("refreshes")
    with op.batch_alter_table("views", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_views_source_id"))

    op.drop_table("views")
