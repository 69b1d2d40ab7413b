"""Named queries on money. Whoever moves any locks its workspace first, so that all of it moves one after the other."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from amasia.database.machines import WARM
from amasia.database.rows import add, change, every
from amasia.database.tables import (
    budget_periods,
    budgets,
    charges,
    clusters,
    commits,
    holds,
    machines,
    repositories,
    storage_charges,
    workspaces,
)
from amasia.models.base import now
from amasia.models.budgets import Budget, BudgetScope, Charge, CostLine, Count, Key
from amasia.models.calendars import today
from amasia.models.workspaces import Workspace

Held = dict[Key, int]
"""What one machine has reserved, by budget and period."""

_BUDGET = select(budgets, workspaces.c.currency, workspaces.c.time_zone).join(
    workspaces, workspaces.c.name == budgets.c.workspace
)


def workspace(tx: Connection, name: str, *, lock: bool) -> Workspace:
    """A workspace; with ``lock`` its money is held until the end of the transaction. SQLite has one writer anyway."""
    query = select(workspaces).where(workspaces.c.name == name)
    query = query.with_for_update(key_share=True) if lock else query
    return Workspace.model_validate(dict(tx.execute(query).mappings().one()))


def create(tx: Connection, budget_id: str, budget: Budget) -> None:
    scope = {"scope_kind": budget.scope.kind, "scope_name": budget.scope.name}
    add(tx, budgets, budget, id=budget_id, created_at=now(), **scope)


def of_workspace(tx: Connection, workspace: str) -> dict[str, Budget]:
    """By id; their counts are not read."""
    query = _BUDGET.where(budgets.c.workspace == workspace).order_by(budgets.c.created_at, budgets.c.name)
    return {row["id"]: _budget(row) for row in tx.execute(query).mappings()}


def counted(tx: Connection, workspace: str, at: datetime) -> list[Budget]:
    """With what the period that it is at that time holds, the main one first."""
    found = of_workspace(tx, workspace)
    keys = {budget_id: (budget_id, one.key(today(at, one.time_zone))) for budget_id, one in found.items()}
    counts = read(tx, keys.values())
    return [
        one.model_copy(update={"spent": counts[keys[budget_id]].spent, "reserved": counts[keys[budget_id]].reserved,
                               "resets_at": one.turns(today(at, one.time_zone))})
        for budget_id, one in found.items()
    ]  # fmt: skip


def find_id(tx: Connection, workspace: str, name: str) -> str | None:
    query = select(budgets.c.id).where(budgets.c.workspace == workspace, budgets.c.name == name)
    return tx.execute(query).scalar()


def set_limit(tx: Connection, budget_id: str, limit: int) -> None:
    change(tx, budgets, budgets.c.id == budget_id, limit=limit)


def remove(tx: Connection, budget_id: str) -> None:
    """With all that it has counted, and what is reserved in it."""
    tx.execute(delete(holds).where(holds.c.budget_id == budget_id))
    tx.execute(delete(budget_periods).where(budget_periods.c.budget_id == budget_id))
    tx.execute(delete(budgets).where(budgets.c.id == budget_id))


def read(tx: Connection, keys: Iterable[Key]) -> dict[Key, Count]:
    """What periods of budgets hold; nothing, where there was none yet."""
    wanted = list(keys)
    query = select(budget_periods).where(tuple_(budget_periods.c.budget_id, budget_periods.c.key).in_(wanted))
    rows = tx.execute(query).mappings()
    found = {(row["budget_id"], row["key"]): Count.model_validate(dict(row)) for row in rows}
    return {key: found.get(key, Count()) for key in wanted}


def write(tx: Connection, key: Key, count: Count) -> None:
    where = (budget_periods.c.budget_id == key[0], budget_periods.c.key == key[1])
    if not change(tx, budget_periods, *where, **count.model_dump()):
        add(tx, budget_periods, count, budget_id=key[0], key=key[1])


def held(tx: Connection, machine_ids: Iterable[str]) -> dict[str, Held]:
    """What machines have reserved."""
    found: dict[str, Held] = {machine_id: {} for machine_id in machine_ids}
    for row in tx.execute(select(holds).where(holds.c.machine_id.in_(list(found)))):
        found[row.machine_id][row.budget_id, row.key] = row.amount
    return found


def hold(tx: Connection, before: Mapping[str, Held], after: Mapping[str, Held]) -> None:
    """Write down what machines have reserved from now on; what they had is given, so that only changes are written."""
    new, changed, gone = [], [], []
    for machine_id, amounts in after.items():
        had = before.get(machine_id, {})
        for key in sorted(had.keys() | amounts.keys()):
            row = {"machine": machine_id, "budget": key[0], "period": key[1]}
            if not amounts.get(key):
                gone += [row] if key in had else []
            elif key not in had:
                new.append({"machine_id": machine_id, "budget_id": key[0], "key": key[1], "amount": amounts[key]})
            elif amounts[key] != had[key]:
                changed.append({**row, "more": amounts[key]})
    this = (
        holds.c.machine_id == bindparam("machine"),
        holds.c.budget_id == bindparam("budget"),
        holds.c.key == bindparam("period"),
    )
    if gone:
        tx.execute(delete(holds).where(*this), gone)
    if changed:
        tx.execute(update(holds).where(*this).values(amount=bindparam("more")), changed)
    if new:
        tx.execute(insert(holds), new)


def charge(tx: Connection, items: list[Charge]) -> None:
    if items:
        rows = [item.model_dump(exclude={"id"}) | {"tags": _tags(item.tags)} for item in items]
        tx.execute(insert(charges), rows)


def spent_by_day(tx: Connection, workspace: str, scope: BudgetScope, since: str) -> list[tuple[str, int]]:
    """(day, amount) of what a budget of this scope counts of the machines' time, from a day on."""
    query = select(charges.c.day, charges.c.tags, func.sum(charges.c.amount).label("amount"))
    query = query.where(charges.c.workspace == workspace, charges.c.day >= since)
    if scope.kind == "user":
        query = query.where(charges.c.user == scope.name)
    if scope.kind == "location":
        query = query.where(charges.c.location == scope.name)
    rows = tx.execute(query.group_by(charges.c.day, charges.c.tags)).all()
    return [(row.day, int(row.amount)) for row in rows if scope.kind != "tag" or scope.name in words(row.tags)]


def stored(tx: Connection, workspace: str) -> list[tuple[datetime, int]]:
    """(end, amount) of every charge of storage."""
    query = select(storage_charges.c.end, storage_charges.c.amount).where(storage_charges.c.workspace == workspace)
    return [(row.end, row.amount) for row in tx.execute(query)]


def words(tags: str) -> set[str]:
    """``key=value`` of each."""
    return {f"{key}={word}" for key, word in json.loads(tags).items()}


def page(tx: Connection, workspace: str, after: int, limit: int) -> list[Charge]:
    query = select(charges).where(charges.c.workspace == workspace, charges.c.id > after)
    return [_charge(row) for row in tx.execute(query.order_by(charges.c.id).limit(limit)).mappings()]


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


def _budget(row: RowMapping) -> Budget:
    scope = {"kind": row["scope_kind"], "name": row["scope_name"]}
    return Budget.model_validate({**row, "scope": scope})


def _charge(row: RowMapping) -> Charge:
    return Charge.model_validate({**row, "tags": json.loads(row["tags"])})


def _tags(tags: Mapping[str, Any]) -> str:
    return json.dumps(dict(sorted(tags.items())), separators=(",", ":"), ensure_ascii=False)
