"""Named queries on money. Every change of a budget is one guarded statement."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, func, insert, select, update

from amasia.database.machines import WARM
from amasia.database.rows import add, change, every, one
from amasia.database.tables import budgets, charges, clusters, commits, machines, repositories, workspaces
from amasia.models.budgets import Budget, Charge, CostLine


def create(tx: Connection, budget: Budget) -> None:
    add(tx, budgets, budget)


def find(tx: Connection, workspace: str) -> Budget | None:
    query = select(budgets, workspaces.c.currency).join(workspaces, workspaces.c.name == budgets.c.workspace)
    return one(tx, query.where(budgets.c.workspace == workspace), Budget)


def set_limit(tx: Connection, workspace: str, limit: int) -> int:
    return change(tx, budgets, budgets.c.workspace == workspace, limit=limit)


def move(tx: Connection, workspace: str, *, spent: int = 0, reserved: int = 0) -> bool:
    """Add to spent and reserved if their sum stays within the limit, or does not grow; whether it was done."""
    query = update(budgets).where(budgets.c.workspace == workspace)
    if spent + reserved > 0:
        query = query.where(budgets.c.spent + budgets.c.reserved + (spent + reserved) <= budgets.c.limit)
    query = query.values(spent=budgets.c.spent + spent, reserved=budgets.c.reserved + reserved)
    return tx.execute(query).rowcount == 1


def charge(tx: Connection, items: list[Charge]) -> None:
    if items:
        tx.execute(insert(charges), [item.model_dump(exclude={"id"}) for item in items])


def page(tx: Connection, workspace: str, after: int, limit: int) -> list[Charge]:
    query = select(charges).where(charges.c.workspace == workspace, charges.c.id > after)
    return every(tx, query.order_by(charges.c.id).limit(limit), Charge)


def by_user(tx: Connection, workspace: str, since: datetime | None) -> list[CostLine]:
    total = (func.sum(charges.c.milliseconds).label("milliseconds"), func.sum(charges.c.amount).label("amount"))
    query = select(charges.c.user.label("key"), *total).where(charges.c.workspace == workspace)
    if since is not None:
        query = query.where(charges.c.end > since)
    return every(tx, query.group_by(charges.c.user).order_by(charges.c.user), CostLine)


def by_cluster(tx: Connection, workspace: str, since: datetime | None) -> list[tuple[str, CostLine]]:
    """(cluster id, line named as the cluster, or as ``cluster/group``), newest cluster first, warm machines last."""
    name = func.coalesce(clusters.c.name, WARM)
    named = case((charges.c.group == "", name), else_=name + "/" + charges.c.group)
    query = (
        select(
            func.coalesce(clusters.c.id, "").label("id"),
            named.label("key"),
            func.sum(charges.c.milliseconds).label("milliseconds"),
            func.sum(charges.c.amount).label("amount"),
        )
        .outerjoin_from(charges, clusters, clusters.c.id == charges.c.cluster_id)
        .where(charges.c.workspace == workspace)
    )
    if since is not None:
        query = query.where(charges.c.end > since)
    query = query.group_by(clusters.c.id, clusters.c.name, clusters.c.created_at, charges.c.group)
    warm_last = (clusters.c.created_at.is_(None), clusters.c.created_at.desc())
    rows = tx.execute(query.order_by(*warm_last, clusters.c.id, charges.c.group)).mappings()
    return [(row["id"], CostLine.model_validate(dict(row))) for row in rows]


def by_repository(
    tx: Connection, workspace: str, since: datetime | None, *where: ColumnElement[bool]
) -> list[CostLine]:
    """What clusters cost up to the commits that they made, by the repository committed to."""
    query = (
        select(
            repositories.c.name.label("key"),
            func.sum(commits.c.milliseconds).label("milliseconds"),
            func.sum(commits.c.amount).label("amount"),
        )
        .join(commits, commits.c.repository_id == repositories.c.id)
        .where(repositories.c.workspace == workspace, commits.c.amount > 0, *where)
        .where(commits.c.status.in_(("committed", "expired")))
    )
    if since is not None:
        query = query.where(commits.c.at > since)
    return every(tx, query.group_by(repositories.c.name).order_by(repositories.c.name), CostLine)


def promised(tx: Connection, workspace: str) -> list[tuple[str, str, str, int]]:
    """(owner, cluster id, worker group, amount reserved) of what runs."""
    key = (machines.c.owner, machines.c.cluster_id, machines.c.group)
    query = (
        select(*key, func.sum(machines.c.reserved))
        .where(machines.c.workspace == workspace, machines.c.reserved > 0)
        .group_by(*key)
    )
    return [(owner, cluster_id or "", group, int(amount)) for owner, cluster_id, group, amount in tx.execute(query)]


def of_cluster(tx: Connection, cluster_id: str) -> tuple[int, int]:
    """(amount, milliseconds) charged so far."""
    query = select(func.coalesce(func.sum(charges.c.amount), 0), func.coalesce(func.sum(charges.c.milliseconds), 0))
    amount, time = tx.execute(query.where(charges.c.cluster_id == cluster_id)).one()
    return int(amount), int(time)
