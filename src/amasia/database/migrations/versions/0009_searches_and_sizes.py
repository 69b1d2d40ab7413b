"""searches and sizes"""

import sqlalchemy as sa
from alembic import op


revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "snapshot_sizes",
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("nbytes", sa.BigInteger(), nullable=True),
        sa.Column("chunks_nbytes", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=op.f("fk_snapshot_sizes_repository_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "snapshot", name=op.f("pk_snapshot_sizes")),
    )
    with op.batch_alter_table("dataset_variables", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dataset_variables_lower_name"))
        batch_op.drop_index(batch_op.f("ix_dataset_variables_standard_name"))
        batch_op.create_index("ix_dataset_variables_lower_name_dataset_id", ["lower_name", "dataset_id"], unique=False)
        batch_op.create_index(
            "ix_dataset_variables_standard_name_dataset_id", ["standard_name", "dataset_id"], unique=False
        )

    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_datasets_committed_at"))
        batch_op.create_index(
            "ix_datasets_search",
            ["committed_at", "repository_id", "begin_at", "end_at", "west", "south", "east", "north", "id"],
            unique=False,
        )


def downgrade() -> None:
    op.drop_table("snapshot_sizes")
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.drop_index("ix_datasets_search")
        batch_op.create_index(batch_op.f("ix_datasets_committed_at"), ["committed_at"], unique=False)

    with op.batch_alter_table("dataset_variables", schema=None) as batch_op:
        batch_op.drop_index("ix_dataset_variables_standard_name_dataset_id")
        batch_op.drop_index("ix_dataset_variables_lower_name_dataset_id")
        batch_op.create_index(batch_op.f("ix_dataset_variables_standard_name"), ["standard_name"], unique=False)
        batch_op.create_index(batch_op.f("ix_dataset_variables_lower_name"), ["lower_name"], unique=False)
