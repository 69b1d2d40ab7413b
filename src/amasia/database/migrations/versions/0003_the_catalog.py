"""the catalog"""

import sqlalchemy as sa
from alembic import op

from amasia.database import words

revision = "0003"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalogings",
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_catalogings_repository_id")),
        sa.PrimaryKeyConstraint("repository_id", name=op.f("pk_catalogings")),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("group", sa.String(), nullable=False),
        sa.Column("branch", sa.String(), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("begin_at", sa.BigInteger(), nullable=True),
        sa.Column("end_at", sa.BigInteger(), nullable=True),
        sa.Column("west", sa.Float(), nullable=True),
        sa.Column("south", sa.Float(), nullable=True),
        sa.Column("east", sa.Float(), nullable=True),
        sa.Column("north", sa.Float(), nullable=True),
        sa.Column("first_preview", sa.String(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name=op.f("fk_datasets_repository_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("repository_id", "group", name=op.f("uq_datasets_repository_id_group")),
    )
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_datasets_committed_at"), ["committed_at"], unique=False)

    op.create_table(
        "dataset_contents",
        sa.Column("dataset_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_contents_dataset_id")),
        sa.PrimaryKeyConstraint("dataset_id", name=op.f("pk_dataset_contents")),
    )
    op.create_table(
        "dataset_variables",
        sa.Column("dataset_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("lower_name", sa.String(), nullable=False),
        sa.Column("standard_name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_variables_dataset_id")),
        sa.PrimaryKeyConstraint("dataset_id", "name", name=op.f("pk_dataset_variables")),
    )
    with op.batch_alter_table("dataset_variables", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dataset_variables_lower_name"), ["lower_name"], unique=False)
        batch_op.create_index(batch_op.f("ix_dataset_variables_standard_name"), ["standard_name"], unique=False)

    op.create_table(
        "previews",
        sa.Column("dataset_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("variable", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("svg", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_previews_dataset_id")),
        sa.PrimaryKeyConstraint("dataset_id", "variable", name=op.f("pk_previews")),
    )
    words.create(op.get_bind())


def downgrade() -> None:
    words.drop(op.get_bind())
    op.drop_table("previews")
    with op.batch_alter_table("dataset_variables", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dataset_variables_standard_name"))
        batch_op.drop_index(batch_op.f("ix_dataset_variables_lower_name"))

    op.drop_table("dataset_variables")
    op.drop_table("dataset_contents")
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_datasets_committed_at"))

    op.drop_table("datasets")
    op.drop_table("catalogings")
