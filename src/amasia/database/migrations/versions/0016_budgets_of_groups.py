"""budgets of groups"""

from alembic import op
import sqlalchemy as sa


revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("machines", sa.Column("groups", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("charges", sa.Column("groups", sa.String(), server_default="[]", nullable=False))


def downgrade() -> None:
    op.execute("DELETE FROM holds WHERE budget_id IN (SELECT id FROM budgets WHERE scope_kind = 'group')")
    op.execute("DELETE FROM budget_periods WHERE budget_id IN (SELECT id FROM budgets WHERE scope_kind = 'group')")
    op.execute("DELETE FROM budgets WHERE scope_kind = 'group'")
    op.execute("DELETE FROM daily_costs WHERE cut = 'group'")
    with op.batch_alter_table("charges") as batch_op:
        batch_op.drop_column("groups")
    with op.batch_alter_table("machines") as batch_op:
        batch_op.drop_column("groups")
