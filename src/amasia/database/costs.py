"""Named queries on what was spent. They read sums that are kept beside the charges, never the charges themselves."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, Text, cast, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from amasia.database.rows import every
from amasia.database.tables import (
    cluster_costs,
    clusters,
    commits,
    daily_costs,
    egress_costs,
    machines,
    refreshes,
    repositories,
    storage_costs,
    views,
)
from amasia.models.budgets import Charge
from amasia.models.costs import CostLine, Cut, Span
from amasia.models.machines import MachineStatus

BESIDES = (storage_costs, egress_costs)
"""By day, what is spent besides the machines' time."""
EVERYBODY = ""
"""In the place of a user: all of them together."""
type EgressKey = tuple[str, str, str, str]
"""Day, user, bucket and repository id."""
_LIVE = [status for status in MachineStatus if status is not MachineStatus.stopped]


class Promised(NamedTuple):
    """What is reserved for machines that run or will."""

    user: str
    location: str
    machine_type: str
    tags: dict[str, str]
    groups: tuple[str, ...]
    cluster_id: str
    """Empty while they are kept warm."""
    group: str
    amount: int


def add(tx: Connection, items: Iterable[Charge]) -> None:
    """Add charges to the sums; whoever does holds the workspace's money."""
    days: dict[tuple[Any, ...], Counter[str]] = {}
    lives: dict[tuple[Any, ...], Counter[str]] = {}
    for one in items:
        more = {"milliseconds": one.milliseconds, "amount": one.amount}
        for cut, key in keys(one):
            for user in (one.user, EVERYBODY):
                days.setdefault((one.workspace, str(cut), user, one.day, key), Counter()).update(more)
        cluster = (one.workspace, one.cluster_id or "", one.group, one.user, one.day)
        lives.setdefault(cluster, Counter()).update(more)
    _add(tx, daily_costs, days)
    _add(tx, cluster_costs, lives)


def keys(one: Charge | Promised) -> Iterator[tuple[Cut, str]]:
    """The lines that the time of a machine is in, besides those of clusters."""
    yield Cut.day, ""
    yield Cut.user, one.user
    yield Cut.location, one.location or "(unknown)"
    yield Cut.machine_type, one.machine_type
    for group in one.groups:
        yield Cut.group, group
    for tag in [f"{key}={word}" for key, word in one.tags.items()] or ["(no tag)"]:
        yield Cut.tag, tag


def add_storage(tx: Connection, workspace: str, repository_id: str, repository: str, day: str, amount: int) -> None:
    _add(tx, storage_costs, {(workspace, repository_id, repository, day): Counter(amount=amount)})


def add_egress(tx: Connection, workspace: str, more: Mapping[EgressKey, int]) -> None:
    _add(tx, egress_costs, {(workspace, *key): Counter(amount=amount) for key, amount in more.items() if amount})


def lines(tx: Connection, workspace: str, cut: Cut, span: Span, user: str | None) -> list[CostLine]:
    """By user, group, location, machine type or tag, the most costly first."""
    time, amount = _sums(daily_costs)
    query = select(daily_costs.c.key, time, amount).where(*_days(workspace, cut, span, user))
    return every(tx, query.group_by(daily_costs.c.key).order_by(amount.desc(), daily_costs.c.key), CostLine)


def total(tx: Connection, workspace: str, span: Span, user: str | None) -> tuple[int, int]:
    """(milliseconds, amount)."""
    row = tx.execute(select(*_sums(daily_costs)).where(*_days(workspace, Cut.day, span, user))).one()
    return int(row.milliseconds or 0), int(row.amount or 0)


def by_day(tx: Connection, workspace: str, span: Span, user: str | None, limit: int | None = None) -> list[CostLine]:
    """Oldest first; with a limit the last so many."""
    query = select(daily_costs.c.day.label("key"), daily_costs.c.milliseconds, daily_costs.c.amount)
    query = query.where(*_days(workspace, Cut.day, span, user)).order_by(daily_costs.c.day.desc()).limit(limit)
    return every(tx, query, CostLine)[::-1]


def besides_by_day(tx: Connection, workspace: str, span: Span) -> dict[str, int]:
    """Amounts of storage and egress."""
    found: Counter[str] = Counter()
    for table in BESIDES:
        query = select(table.c.day, func.sum(table.c.amount).label("amount"))
        for row in tx.execute(query.where(*within(table, workspace, span)).group_by(table.c.day)):
            found[row.day] += int(row.amount)
    return dict(found)


def newest_clusters(
    tx: Connection,
    workspace: str,
    begin: datetime | None,
    end: datetime | None,
    user: str | None,
    limit: int,
    skip: int = 0,
) -> dict[str, str]:
    """Names by id of clusters that were there then, the newest first, by the index on when they were made."""
    query = select(clusters.c.id, clusters.c.name).where(clusters.c.workspace == workspace)
    if begin is not None:
        query = query.where(or_(clusters.c.stopped_at.is_(None), clusters.c.stopped_at >= begin))
    if end is not None:
        query = query.where(clusters.c.created_at < end)
    if user is not None:
        query = query.where(clusters.c.owner == user)
    query = query.order_by(clusters.c.created_at.desc(), clusters.c.id).limit(limit).offset(skip)
    return {row.id: row.name for row in tx.execute(query)}


def of_clusters(
    tx: Connection, workspace: str, span: Span, user: str | None, ids: Iterable[str]
) -> list[tuple[str, str, int, int]]:
    """(cluster id, worker group, milliseconds, amount)."""
    keys = (cluster_costs.c.cluster_id, cluster_costs.c.group)
    query = select(*keys, *_sums(cluster_costs)).where(*within(cluster_costs, workspace, span, user))
    rows = tx.execute(query.where(cluster_costs.c.cluster_id.in_(list(ids))).group_by(*keys))
    return [(row.cluster_id, row.group, int(row.milliseconds), int(row.amount)) for row in rows]


def by_view(tx: Connection, workspace: str, span: Span, user: str | None) -> list[CostLine]:
    query = (
        select(views.c.name.label("key"), *_sums(cluster_costs))
        .join_from(cluster_costs, refreshes, refreshes.c.cluster_id == cluster_costs.c.cluster_id)
        .join(views, views.c.id == refreshes.c.view_id)
        .where(views.c.workspace == workspace, *within(cluster_costs, workspace, span, user))
    )
    return every(tx, query.group_by(views.c.name).order_by(views.c.name), CostLine)


def by_repository(
    tx: Connection,
    workspace: str,
    begin: datetime | None,
    end: datetime | None,
    user: str | None,
    visible: ColumnElement[bool],
) -> list[CostLine]:
    """What clusters cost up to the commits that they made, by the repository committed to."""
    query = (
        select(
            repositories.c.name.label("key"),
            func.sum(commits.c.milliseconds).label("milliseconds"),
            func.sum(commits.c.amount).label("amount"),
        )
        .join(commits, commits.c.repository_id == repositories.c.id)
        .where(repositories.c.workspace == workspace, commits.c.amount > 0, visible)
        .where(commits.c.status.in_(("committed", "expired")))
    )
    if begin is not None:
        query = query.where(commits.c.at >= begin)
    if end is not None:
        query = query.where(commits.c.at < end)
    if user is not None:
        query = query.join(clusters, clusters.c.id == commits.c.cluster_id).where(clusters.c.owner == user)
    return every(tx, query.group_by(repositories.c.name).order_by(repositories.c.name), CostLine)


def promised(tx: Connection, workspace: str, user: str | None) -> list[Promised]:
    """Of what runs; whoever ended has nothing reserved."""
    tags, groups = (cast(column, Text).label(column.name) for column in (machines.c.tags, machines.c.groups))
    key = (machines.c.owner, machines.c.location, machines.c.machine_type, tags, groups, machines.c.cluster_id,
           machines.c.group)  # fmt: skip
    query = select(*key, func.sum(machines.c.reserved).label("amount"))
    query = query.where(machines.c.status.in_(_LIVE), machines.c.workspace == workspace, machines.c.reserved > 0)
    if user is not None:
        query = query.where(machines.c.owner == user)
    return [
        Promised(row.owner, row.location, row.machine_type, json.loads(row.tags), tuple(json.loads(row.groups)),
                 row.cluster_id or "", row.group, int(row.amount))
        for row in tx.execute(query.group_by(*key)).all()
    ]  # fmt: skip


def _add(tx: Connection, table: Table, sums: dict[tuple[Any, ...], Counter[str]]) -> None:
    if not sums:
        return
    made = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    keys = [column.name for column in table.primary_key]
    query = made(table)
    more = {one.name: one + query.excluded[one.name] for one in table.c if not one.primary_key}
    query = query.on_conflict_do_update(index_elements=keys, set_=more)
    tx.execute(query, [dict(zip(keys, key, strict=True)) | sums[key] for key in sorted(sums)])


def _sums(table: Table) -> tuple[ColumnElement[int], ColumnElement[int]]:
    return func.sum(table.c.milliseconds).label("milliseconds"), func.sum(table.c.amount).label("amount")


def _days(workspace: str, cut: Cut, span: Span, user: str | None) -> list[ColumnElement[bool]]:
    """For the ``where`` of a query on sums by day: those of one user, or of all together."""
    return [daily_costs.c.cut == str(cut), *within(daily_costs, workspace, span, EVERYBODY if user is None else user)]


def within(table: Table, workspace: str, span: Span, user: str | None = None) -> list[ColumnElement[bool]]:
    """For the ``where`` of a query on sums."""
    found = [table.c.workspace == workspace]
    if span.since is not None:
        found.append(table.c.day >= span.since.isoformat())
    if span.until is not None:
        found.append(table.c.day <= span.until.isoformat())
    if user is not None:
        found.append(table.c.user == user)
    return found
