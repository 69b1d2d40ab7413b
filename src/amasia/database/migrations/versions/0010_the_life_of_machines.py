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

    with op.batch_alter_table("machines", schema=None) as batch_op:
        batch_op.add_column(sa.Column("group", sa.String(), server_default="", nullable=False))

    with op.batch_alter_table("charges", schema=None) as batch_op:
        batch_op.add_column(sa.Column("group", sa.String(), server_default="", nullable=False))

    with op.batch_alter_table("locations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("boot_seconds", sa.Float(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("locations", schema=None) as batch_op:
        batch_op.drop_column("boot_seconds")

    with op.batch_alter_table("charges", schema=None) as batch_op:
        batch_op.drop_column("group")

    with op.batch_alter_table("machines", schema=None) as batch_op:
        batch_op.drop_column("group")

    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.drop_column("wanted_groups")
