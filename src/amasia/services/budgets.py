"""Budgets and the bill."""

from collections.abc import Iterable
from datetime import datetime

from amasia import errors
from amasia.database import budgets as rows
from amasia.database import events, grants, storage, users
from amasia.database.engine import Database
from amasia.models.budgets import Budget, BudgetRequest, Charge, CostLine, Costs
from amasia.models.users import Principal


def get(db: Database, workspace: str) -> Budget:
    with db.read() as tx:
        found = rows.find(tx, workspace)
    if found is None:
        raise errors.NotFound(f"The workspace {workspace!r} has no budget.", cure="Set one with `amasia budget set`.")
    return found


def set_limit(db: Database, who: Principal, workspace: str, request: BudgetRequest) -> Budget:
    """A limit below what is spent and reserved is taken: nothing new starts, and no lease is renewed."""
    with db.write() as tx:
        rows.set_limit(tx, workspace, request.limit)
        events.append(tx, actor=who.actor, verb="budget.set", target=workspace, workspace=workspace,
                      source=who.source, limit=request.limit)  # fmt: skip
        found = rows.find(tx, workspace)
    assert found is not None
    return found


def charges(db: Database, workspace: str, after: int, limit: int = 500) -> list[Charge]:
    with db.read() as tx:
        return rows.page(tx, workspace, after, limit)


def costs(db: Database, who: Principal, workspace: str, since: datetime | None) -> Costs:
    with db.read() as tx:
        budget = rows.find(tx, workspace)
        found = users.find_workspace(tx, workspace)
        assert budget is not None
        assert found is not None
        promised = rows.promised(tx, workspace)
        by_user = [
            line.model_copy(update={"reserved": sum(amount for owner, *_, amount in promised if owner == line.key)})
            for line in rows.by_user(tx, workspace, since)
        ]
        by_cluster = _distinct(
            (cluster_id, line.model_copy(update={"reserved": _held(promised, cluster_id, line.key)}))
            for cluster_id, line in rows.by_cluster(tx, workspace, since)
        )
        by_repository = rows.by_repository(tx, workspace, since, grants.visible(who))
        stored = storage.lines(tx, workspace, since, grants.visible(who))
    amount = sum(line.amount for line in by_user)
    time = sum(line.milliseconds for line in by_user)
    rest = CostLine(
        key="(no commit)",
        amount=amount - sum(line.amount for line in by_repository),
        milliseconds=time - sum(line.milliseconds for line in by_repository),
    )
    return Costs(
        workspace=workspace,
        currency=found.currency,
        milliseconds=time,
        amount=amount,
        reserved=budget.reserved,
        limit=budget.limit,
        by_user=tuple(by_user),
        by_cluster=tuple(by_cluster),
        by_repository=(*by_repository, rest),
        storage=tuple(stored),
        storage_amount=sum(line.amount for line in stored),
    )


def _held(promised: list[tuple[str, str, str, int]], cluster_id: str, key: str) -> int:
    """What the machines of a line of the bill have reserved."""
    group = key.partition("/")[2]
    return sum(amount for _, owner, kind, amount in promised if (owner, kind) == (cluster_id, group))


def _distinct(found: Iterable[tuple[str, CostLine]]) -> list[CostLine]:
    """Lines of clusters; those that bore the same name, one after the other, are told apart by their ids."""
    lines = list(found)
    names = [line.key for _, line in lines]
    return [
        line.model_copy(update={"key": f"{line.key} ({cluster_id})"}) if names.count(line.key) > 1 else line
        for cluster_id, line in lines
    ]
