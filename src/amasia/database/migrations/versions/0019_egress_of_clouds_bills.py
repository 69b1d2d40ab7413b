"""egress of clouds' bills"""

from alembic import op
import sqlalchemy as sa


revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "egress",
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("machine_id", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("cluster_id", sa.String(), nullable=False),
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.name"], name=op.f("fk_egress_workspace")),
        sa.PrimaryKeyConstraint("workspace", "day", "resource", name=op.f("pk_egress")),
    )
    op.create_table(
        "egress_costs",
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.name"], name=op.f("fk_egress_costs_workspace")),
        sa.PrimaryKeyConstraint("workspace", "day", "user", "bucket", "repository_id", name=op.f("pk_egress_costs")),
    )


def downgrade() -> None:
    op.drop_table("egress_costs")
    op.drop_table("egress")
