"""sums of charges"""

import json
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
    daily = _make("daily_costs", ("cut", "user", "day", "key"))
    _make("cluster_costs", ("cluster_id", "group", "user", "day"))
    storage = _make("storage_costs", ("repository_id", "repository", "day"), time=False)
    _sum_days(op.get_bind(), daily)
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


def _sum_days(tx: sa.Connection, table: sa.Table) -> None:
    """For each way to cut the bill: once for its user, and once for all."""
    found: dict[tuple[str, ...], Counter[str]] = {}
    query = sa.text(
        'SELECT workspace, day, "user", location, machine_type, tags, sum(milliseconds) AS milliseconds, '
        'sum(amount) AS amount FROM charges GROUP BY workspace, day, "user", location, machine_type, tags'
    )
    for row in tx.execute(query, execution_options={"yield_per": 10_000}):
        tags = [f"{key}={word}" for key, word in json.loads(row.tags).items()] or ["(no tag)"]
        lines = [("day", ""), ("user", row.user), ("location", row.location or "(unknown)"),
                 ("machine-type", row.machine_type), *(("tag", tag) for tag in tags)]  # fmt: skip
        for cut, key in lines:
            for user in (row.user, ""):
                sums = found.setdefault((row.workspace, cut, user, row.day, key), Counter())
                sums.update(milliseconds=int(row.milliseconds), amount=int(row.amount))
    names = ("workspace", "cut", "user", "day", "key")
    if rows := [dict(zip(names, key, strict=True)) | dict(sums) for key, sums in found.items()]:
        tx.execute(sa.insert(table), rows)


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
