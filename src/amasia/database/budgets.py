"""Named queries on money. Whoever moves any locks its workspace first, so that all of it moves one after the other."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import (
    Connection,
    RowMapping,
    bindparam,
    delete,
    insert,
    select,
    tuple_,
    update,
)

from amasia.database import costs
from amasia.database.rows import add, change
from amasia.database.tables import (
    budget_periods,
    budgets,
    charges,
    daily_costs,
    holds,
    workspaces,
)
from amasia.models.base import now
from amasia.models.budgets import Budget, BudgetScope, Charge, Count, Key
from amasia.models.calendars import today
from amasia.models.costs import Cut, Span
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
    """Write charges down, and add them to the sums that the bill is read from."""
    if items:
        rows = [
            item.model_dump(exclude={"id"}) | {"tags": _text(item.tags), "groups": _text(sorted(item.groups))}
            for item in items
        ]
        tx.execute(insert(charges), rows)
        costs.add(tx, items)


def spent_by_day(tx: Connection, workspace: str, scope: BudgetScope, since: str) -> list[tuple[str, int]]:
    """(day, amount) of what a budget of this scope counts of the machines' time, from a day on."""
    cut = Cut.day if scope.kind == "workspace" else Cut(scope.kind)
    query = select(daily_costs.c.day, daily_costs.c.amount).where(
        daily_costs.c.workspace == workspace,
        daily_costs.c.cut == str(cut),
        daily_costs.c.user == costs.EVERYBODY,
        daily_costs.c.key == scope.name,
        daily_costs.c.day >= since,
    )
    return [(row.day, row.amount) for row in tx.execute(query)]


def page(tx: Connection, workspace: str, user: str | None, after: int, limit: int) -> list[Charge]:
    """With a user, only theirs."""
    query = select(charges).where(charges.c.workspace == workspace, charges.c.id > after)
    query = query if user is None else query.where(charges.c.user == user)
    return [_charge(row) for row in tx.execute(query.order_by(charges.c.id).limit(limit)).mappings()]


def of_clusters(tx: Connection, workspace: str, cluster_ids: Iterable[str]) -> dict[str, tuple[int, int]]:
    """(amount, milliseconds) charged so far, by cluster."""
    found = dict.fromkeys(cluster_ids, (0, 0))
    for cluster, _, milliseconds, amount in costs.of_clusters(tx, workspace, Span(), None, found):
        before, time = found[cluster]
        found[cluster] = (before + amount, time + milliseconds)
    return found


def _budget(row: RowMapping) -> Budget:
    scope = {"kind": row["scope_kind"], "name": row["scope_name"]}
    return Budget.model_validate({**row, "scope": scope})


def _charge(row: RowMapping) -> Charge:
    return Charge.model_validate({**row, "tags": json.loads(row["tags"]), "groups": json.loads(row["groups"])})


def _text(value: Mapping[str, str] | Sequence[str]) -> str:
    """In one order, so that equal ones are one."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
