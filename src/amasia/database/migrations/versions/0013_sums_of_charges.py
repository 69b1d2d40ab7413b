"""sums of charges"""

from collections import Counter
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from amasia.models.calendars import today

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make("daily_costs", ("day", "user", "location", "machine_type", "tags"))
    _make("cluster_costs", ("cluster_id", "group", "user", "day"))
    storage = _make("storage_costs", ("repository_id", "repository", "day"), time=False)
    op.execute(
        'INSERT INTO daily_costs SELECT workspace, day, "user", location, machine_type, tags, sum(milliseconds), '
        'sum(amount) FROM charges GROUP BY workspace, day, "user", location, machine_type, tags'
    )
    op.execute(
        'INSERT INTO cluster_costs SELECT workspace, coalesce(cluster_id, \'\'), "group", "user", day, '
        "sum(milliseconds), sum(amount) FROM charges "
        'GROUP BY workspace, coalesce(cluster_id, \'\'), "group", "user", day'
    )
    _sum_storage(op.get_bind(), storage)


def downgrade() -> None:
    for name in ("storage_costs", "cluster_costs", "daily_costs"):
        op.drop_table(name)


def _make(name: str, columns: tuple[str, ...], *, time: bool = True) -> sa.Table:
    keys = ("workspace", *columns)
    sums = ("milliseconds", "amount") if time else ("amount",)
    made: sa.Table = op.create_table(
        name,
        *(sa.Column(column, sa.String(), nullable=False) for column in keys),
        *(sa.Column(column, sa.BigInteger(), nullable=False) for column in sums),
        sa.ForeignKeyConstraint(["workspace"], ["workspaces.name"], name=op.f(f"fk_{name}_workspace")),
        sa.PrimaryKeyConstraint(*keys, name=op.f(f"pk_{name}")),
    )
    return made


def _sum_storage(tx: sa.Connection, table: sa.Table) -> None:
    """By the days of each workspace's calendar, which no database knows alike."""
    zones = {row.name: row.time_zone for row in tx.execute(sa.text("SELECT name, time_zone FROM workspaces"))}
    found: Counter[tuple[str, str, str, str]] = Counter()
    query = sa.text('SELECT workspace, repository_id, repository, "end", amount FROM storage_charges')
    for row in tx.execute(query, execution_options={"yield_per": 10_000}):
        end = datetime.fromisoformat(row.end) if isinstance(row.end, str) else row.end
        day = today(end if end.tzinfo else end.replace(tzinfo=UTC), zones[row.workspace])
        found[row.workspace, row.repository_id, row.repository, day.isoformat()] += row.amount
    names = ("workspace", "repository_id", "repository", "day")
    if rows := [dict(zip(names, key, strict=True)) | {"amount": amount} for key, amount in found.items()]:
        tx.execute(sa.insert(table), rows)
