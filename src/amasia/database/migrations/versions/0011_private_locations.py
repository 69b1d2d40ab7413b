"""private locations"""

import sqlalchemy as sa
from alembic import op


revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("locations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("private_endpoints", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(sa.text("UPDATE locations SET private_endpoints = true"))  # what runs there must be found and stopped


def downgrade() -> None:
    with op.batch_alter_table("locations", schema=None) as batch_op:
        batch_op.drop_column("private_endpoints")
