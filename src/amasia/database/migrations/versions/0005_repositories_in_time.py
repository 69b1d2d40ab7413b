"""branches, tags, turns, differences, cleanings and storage"""

from alembic import op
import sqlalchemy as sa


revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "graves",
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.name"], name=op.f("fk_graves_workspace")),
        sa.PrimaryKeyConstraint("repository_id", name=op.f("pk_graves")),
    )
    with op.batch_alter_table("graves", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_graves_deleted_at"), ["deleted_at"], unique=False)

    op.create_table(
        "storage_charges",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("repository", sa.String(), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("nbytes", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.name"], name=op.f("fk_storage_charges_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_charges")),
    )
    with op.batch_alter_table("storage_charges", schema=None) as batch_op:
        batch_op.create_index("ix_storage_charges_workspace_end", ["workspace", "end"], unique=False)

    op.create_table(
        "cleanings",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("older_than", sa.BigInteger(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=op.f("fk_cleanings_repository_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cleanings")),
    )
    with op.batch_alter_table("cleanings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_cleanings_repository_id"), ["repository_id"], unique=False)

    op.create_table(
        "diffs",
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("diff", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=op.f("fk_diffs_repository_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "snapshot", name=op.f("pk_diffs")),
    )
    op.create_table(
        "refs",
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=op.f("fk_refs_repository_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "kind", "name", name=op.f("pk_refs")),
    )
    op.create_table(
        "storage",
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("nbytes", sa.BigInteger(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("chunks_nbytes", sa.BigInteger(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("charged_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rest", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=op.f("fk_storage_repository_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", name=op.f("pk_storage")),
    )
    op.create_table(
        "turns",
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("branch", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repositories.id"], name=op.f("fk_turns_repository_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("repository_id", "branch", name=op.f("pk_turns")),
    )
    with op.batch_alter_table("commits", schema=None) as batch_op:
        batch_op.add_column(sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index("ix_commits_repository_id_snapshot", ["repository_id", "snapshot"], unique=False)

    with op.batch_alter_table("repositories", schema=None) as batch_op:
        batch_op.add_column(sa.Column("lent_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    # Not in a batch: SQLite would make the tables anew, and what refers to them would go with the old ones.
    op.execute("ALTER TABLE repositories DROP COLUMN lent_until")
    op.drop_index("ix_commits_repository_id_snapshot", "commits")
    op.execute("ALTER TABLE commits DROP COLUMN reported_at")
    op.drop_table("turns")
    op.drop_table("storage")
    op.drop_table("refs")
    op.drop_table("diffs")
    with op.batch_alter_table("cleanings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_cleanings_repository_id"))

    op.drop_table("cleanings")
    with op.batch_alter_table("storage_charges", schema=None) as batch_op:
        batch_op.drop_index("ix_storage_charges_workspace_end")

    op.drop_table("storage_charges")
    with op.batch_alter_table("graves", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_graves_deleted_at"))

    op.drop_table("graves")
