"""the chain of events"""

import hashlib
import json
from datetime import UTC

import sqlalchemy as sa
from alembic import op


revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SQLITE = (
    "CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END",
    "CREATE TRIGGER events_kept BEFORE DELETE ON events"
    " WHEN OLD.seq > coalesce((SELECT dropped_seq FROM chains WHERE name = OLD.chain), 0)"
    " BEGIN SELECT RAISE(ABORT, 'events are never deleted before their time'); END",
    # INSERT OR REPLACE deletes without asking the trigger above.
    "CREATE TRIGGER events_follow BEFORE INSERT ON events"
    " WHEN NEW.seq <= coalesce((SELECT seq FROM chains WHERE name = NEW.chain), 0)"
    " OR EXISTS (SELECT 1 FROM events WHERE id = NEW.id)"
    " BEGIN SELECT RAISE(ABORT, 'events are only added at the end'); END",
    "CREATE TRIGGER chains_grow BEFORE UPDATE ON chains"
    " WHEN NEW.name <> OLD.name OR NEW.seq < OLD.seq OR NEW.dropped_seq < OLD.dropped_seq OR NEW.dropped_seq > NEW.seq"
    " BEGIN SELECT RAISE(ABORT, 'chains of events only grow'); END",
    "CREATE TRIGGER chains_stay BEFORE DELETE ON chains"
    " BEGIN SELECT RAISE(ABORT, 'chains of events are never deleted'); END",
)
POSTGRESQL = (
    """CREATE FUNCTION amasia_events() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'INSERT' THEN
        IF NEW.seq <= coalesce((SELECT seq FROM chains WHERE name = NEW.chain), 0) THEN
          RAISE EXCEPTION 'events are only added at the end';
        END IF;
        RETURN NEW;
      ELSIF TG_OP = 'DELETE' THEN
        IF OLD.seq > coalesce((SELECT dropped_seq FROM chains WHERE name = OLD.chain), 0) THEN
          RAISE EXCEPTION 'events are never deleted before their time';
        END IF;
        RETURN OLD;
      END IF;
      RAISE EXCEPTION 'events are never changed';
    END $$""",
    "CREATE TRIGGER events_stay BEFORE INSERT OR UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION amasia_events()",
    "CREATE TRIGGER events_whole BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION amasia_events()",
    """CREATE FUNCTION amasia_chains() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'UPDATE' THEN
        IF NEW.name = OLD.name AND NEW.seq >= OLD.seq AND NEW.dropped_seq >= OLD.dropped_seq
           AND NEW.dropped_seq <= NEW.seq THEN
          RETURN NEW;
        END IF;
        RAISE EXCEPTION 'chains of events only grow';
      END IF;
      RAISE EXCEPTION 'chains of events are never deleted';
    END $$""",
    "CREATE TRIGGER chains_grow BEFORE UPDATE OR DELETE ON chains FOR EACH ROW EXECUTE FUNCTION amasia_chains()",
    "CREATE TRIGGER chains_whole BEFORE TRUNCATE ON chains FOR EACH STATEMENT EXECUTE FUNCTION amasia_chains()",
)
BATCH = 1000


def upgrade() -> None:
    tx = op.get_bind()
    op.create_table(
        "chains",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("dropped_seq", sa.BigInteger(), nullable=False),
        sa.Column("dropped_hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chains")),
    )
    op.create_table(
        "exports",
        sa.Column("sink", sa.String(), nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["chain"], ["chains.name"], name=op.f("fk_exports_chain")),
        sa.PrimaryKeyConstraint("sink", "chain", name=op.f("pk_exports")),
    )
    with op.batch_alter_table("events") as batch:
        batch.add_column(sa.Column("chain", sa.String(), nullable=True))
        batch.add_column(sa.Column("seq", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("hash", sa.String(), nullable=True))
        batch.drop_index("ix_events_workspace_id")
    _chain(tx)
    with op.batch_alter_table("events") as batch:
        batch.alter_column("chain", existing_type=sa.String(), nullable=False)
        batch.alter_column("seq", existing_type=sa.BigInteger(), nullable=False)
        batch.alter_column("hash", existing_type=sa.String(), nullable=False)
        batch.create_unique_constraint(op.f("uq_events_chain_seq"), ["chain", "seq"])
        batch.create_index("ix_events_chain_id", ["chain", "id"])
    for statement in POSTGRESQL if tx.dialect.name == "postgresql" else SQLITE:
        tx.exec_driver_sql(statement)


def _chain(tx: sa.Connection) -> None:
    """Number and hash what is there, in the order of its ids."""
    names = ("id", "workspace", "actor", "verb", "target", "outcome", "source", "chain", "seq", "hash")
    columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in names]
    columns += [sa.column("at", sa.DateTime(timezone=True)), sa.column("detail", sa.JSON())]
    events = sa.table("events", *columns)
    heads: dict[str, tuple[int, str]] = {}
    last = 0
    while (
        rows := tx.execute(sa.select(events).where(events.c.id > last).order_by(events.c.id).limit(BATCH))
        .mappings()
        .all()
    ):
        changes = []
        for row in rows:
            chain = row["workspace"] or ""
            seq, before = heads.get(chain, (0, ""))
            at = row["at"] if row["at"].tzinfo else row["at"].replace(tzinfo=UTC)
            said = {name: row[name] for name in ("workspace", "actor", "verb", "target", "outcome", "source", "detail")}
            said |= {"seq": seq + 1, "at": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
            text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
            heads[chain] = (seq + 1, hashlib.sha256(f"{before}\n{text}".encode()).hexdigest())
            changes.append({"row": row["id"], "chain_": chain, "seq_": seq + 1, "hash_": heads[chain][1]})
        change = sa.update(events).where(events.c.id == sa.bindparam("row"))
        tx.execute(
            change.values(chain=sa.bindparam("chain_"), seq=sa.bindparam("seq_"), hash=sa.bindparam("hash_")), changes
        )
        last = rows[-1]["id"]
    chains = sa.table("chains", *(sa.column(name) for name in ("name", "seq", "hash", "dropped_seq", "dropped_hash")))
    op.bulk_insert(
        chains,
        [
            {"name": name, "seq": seq, "hash": found, "dropped_seq": 0, "dropped_hash": ""}
            for name, (seq, found) in heads.items()
        ],
    )


def downgrade() -> None:
    tx = op.get_bind()
    if tx.dialect.name == "postgresql":
        for table, names in (("events", ("events_stay", "events_whole")), ("chains", ("chains_grow", "chains_whole"))):
            for name in names:
                tx.exec_driver_sql(f"DROP TRIGGER {name} ON {table}")
            tx.exec_driver_sql(f"DROP FUNCTION amasia_{table}()")
    else:
        for name in ("events_stay", "events_kept", "events_follow", "chains_grow", "chains_stay"):
            tx.exec_driver_sql(f"DROP TRIGGER {name}")
    op.drop_table("exports")
    op.drop_table("chains")
    with op.batch_alter_table("events") as batch:
        batch.drop_index("ix_events_chain_id")
        batch.drop_constraint(op.f("uq_events_chain_seq"), type_="unique")
        for column in ("chain", "seq", "hash"):
            batch.drop_column(column)
        batch.create_index("ix_events_workspace_id", ["workspace", "id"])
