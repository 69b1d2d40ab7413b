"""the life of machines"""

import sqlalchemy as sa
from alembic import op


revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.add_column(sa.Column("wanted_groups", sa.JSON(), server_default="{}", nullable=False))

    op.create_table(
        "standbys",
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("location", sa.String(), nullable=False),
        sa.Column("machine_type", sa.String(), nullable=False),
        sa.Column("machines", sa.Integer(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.name"], name=op.f("fk_standbys_workspace")),
        sa.PrimaryKeyConstraint("workspace", "location", "machine_type", name=op.f("pk_standbys")),
    )
    with op.batch_alter_table("machines", schema=None) as batch_op:
        batch_op.add_column(sa.Column("group", sa.String(), server_default="", nullable=False))
        batch_op.alter_column("cluster_id", existing_type=sa.String(), nullable=True)

    with op.batch_alter_table("charges", schema=None) as batch_op:
        batch_op.add_column(sa.Column("group", sa.String(), server_default="", nullable=False))

    with op.batch_alter_table("locations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("boot_seconds", sa.Float(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("locations", schema=None) as batch_op:
        batch_op.drop_column("boot_seconds")

    with op.batch_alter_table("charges", schema=None) as batch_op:
        batch_op.drop_column("group")

    op.execute("DELETE FROM machines WHERE cluster_id IS NULL")
    with op.batch_alter_table("machines", schema=None) as batch_op:
        batch_op.alter_column("cluster_id", existing_type=sa.String(), nullable=False)
        batch_op.drop_column("group")
    op.drop_table("standbys")

    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.drop_column("wanted_groups")
