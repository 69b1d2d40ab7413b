"""limits and claims"""

from alembic import op
import sqlalchemy as sa


revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "limits",
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("machines", sa.Integer(), nullable=True),
        sa.Column("starting", sa.Integer(), nullable=True),
        sa.Column("requests", sa.Integer(), nullable=True),
        sa.Column("repositories", sa.Integer(), nullable=True),
        sa.Column("log_bytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.name"], name=op.f("fk_limits_workspace")),
        sa.PrimaryKeyConstraint("workspace", name=op.f("pk_limits")),
    )
    op.add_column("memberships", sa.Column("claims", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("group_members", sa.Column("origin", sa.String(), server_default="", nullable=False))
    op.add_column("machines", sa.Column("log_bytes", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("machines", "log_bytes")
    op.drop_column("group_members", "origin")
    op.drop_column("memberships", "claims")
    op.drop_table("limits")
