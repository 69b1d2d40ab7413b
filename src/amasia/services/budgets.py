"""Budgets: made, set and deleted. What spends from them is in `services.ledgers`, the bill in `services.costs`."""

from collections import Counter
from datetime import date

from sqlalchemy import Connection

from amasia import errors
from amasia.database import budgets as rows
from amasia.database import clusters, costs, events, groups, locations, machines, users
from amasia.database.engine import Database
from amasia.models.alerts import mark
from amasia.models.base import new_id, now
from amasia.models.budgets import (
    MAIN,
    OUTSIDE,
    Budget,
    BudgetRequest,
    BudgetScope,
    Count,
    Key,
    NewBudget,
)
from amasia.models.calendars import today
from amasia.models.costs import Span
from amasia.models.money import show
from amasia.models.users import Principal
from amasia.services import leases
from amasia.services.ledgers import Ledger

MOST = 200
"""Budgets of a workspace."""


def get(db: Database, workspace: str, name: str = MAIN) -> Budget:
    with db.read() as tx:
        return _named(tx, workspace, name)


def find(db: Database, workspace: str) -> list[Budget]:
    """All of a workspace, with what their periods of now hold."""
    with db.read() as tx:
        return rows.counted(tx, workspace, now())


def create(db: Database, who: Principal, workspace: str, request: NewBudget) -> Budget:
    """A budget that counts what was spent in its period already, and what is promised to what runs.

    Of less than that only one that was confirmed is made, as with `set_limit`.
    """
    with db.write() as tx:
        ledger = Ledger(tx, workspace)
        if request.name in {one.name for one in ledger.budgets.values()}:
            raise errors.Conflict(
                f"There is a budget {request.name!r} in {workspace!r} already.",
                cure=f"Set its limit with `amasia budget set AMOUNT --name {request.name}`, or choose another name.",
            )
        if len(ledger.budgets) >= MOST:
            raise errors.TooLarge(f"{workspace!r} has {MOST} budgets, which is the most.", cure="Delete one.")
        _check_scope(tx, workspace, request.scope)
        budget = Budget(**request.model_dump(), workspace=workspace, owner=who.user)
        budget_id = new_id("bu")
        rows.create(tx, budget_id, budget)
        _count(tx, workspace, budget_id)
        events.append(tx, actor=who.actor, verb="budget.create", target=request.name, workspace=workspace,
                      source=who.source, **request.model_dump(mode="json", exclude={"name", "confirmed"}))  # fmt: skip
        return _confirmed(_named(tx, workspace, request.name), request.confirmed)


def set_limit(db: Database, who: Principal, workspace: str, request: BudgetRequest, name: str = MAIN) -> Budget:
    """A limit below what is spent and reserved is taken where it was confirmed: then nothing new starts, and no lease
    is renewed."""
    with db.write() as tx:
        Ledger(tx, workspace)
        budget_id = _id(tx, workspace, name)
        rows.set_limit(tx, budget_id, request.limit)
        Ledger(tx, workspace).begin_anew(budget_id)
        clusters.go_on(tx, workspace)
        events.append(tx, actor=who.actor, verb="budget.set", target=name, workspace=workspace,
                      source=who.source, limit=request.limit)  # fmt: skip
        return _confirmed(_named(tx, workspace, name), request.confirmed)


def delete(db: Database, who: Principal, workspace: str, name: str) -> None:
    """What it counted is in the charges, and in the other budgets."""
    with db.write() as tx:
        Ledger(tx, workspace)
        if name == MAIN:
            raise errors.Conflict(
                "The workspace's own budget cannot be deleted.", cure="Set it higher: `amasia budget set AMOUNT`."
            )
        rows.remove(tx, _id(tx, workspace, name))
        clusters.go_on(tx, workspace)
        events.append(tx, actor=who.actor, verb="budget.delete", target=name, workspace=workspace,
                      source=who.source)  # fmt: skip


def _confirmed(budget: Budget, confirmed: bool) -> Budget:
    """The budget as it would be; refused, and so not written, where it lets nothing go on and nobody said so."""
    day = today(now(), budget.time_zone)
    if confirmed or not budget.overdrawn(day):
        return budget
    used, money = budget.spent + budget.reserved, budget.currency
    limit = "a grant of other days" if budget.key(day) == OUTSIDE else f"a limit of {show(budget.limit, money)}"
    raise errors.InvalidRequest(
        f"{show(used, money)} that {budget.name!r} counts are spent or promised to what runs, and {limit} lets "
        "nothing go on: machines that it counts end with their leases.",
        cure="Ask for another, or say that you know with --yes or confirm=True.",
        used=used,
    )


def _named(tx: Connection, workspace: str, name: str) -> Budget:
    found = [one for one in rows.counted(tx, workspace, now()) if one.name == name]
    if not found:
        raise _unknown(workspace, name)
    return found[0]


def _id(tx: Connection, workspace: str, name: str) -> str:
    found = rows.find_id(tx, workspace, name)
    if found is None:
        raise _unknown(workspace, name)
    return found


def _unknown(workspace: str, name: str) -> errors.NotFound:
    return errors.NotFound(
        f"The workspace {workspace!r} has no budget {name!r}.", cure="`amasia budget list` shows what there is."
    )


def _check_scope(tx: Connection, workspace: str, scope: BudgetScope) -> None:
    """A user may leave and a tag be used later; but what never was is a slip of the pen."""
    if scope.kind == "user" and users.role(tx, workspace, scope.name) is None:
        raise errors.NotFound(
            f"{scope.name!r} is no member of {workspace!r}.", cure="`amasia workspace members` shows who is."
        )
    if scope.kind == "group" and groups.find(tx, workspace, scope.name) is None:
        raise errors.NotFound(
            f"The workspace {workspace!r} has no group {scope.name!r}.", cure="`amasia group list` shows them."
        )
    if scope.kind == "location" and locations.find_location(tx, workspace, scope.name) is None:
        raise errors.NotFound(
            f"The workspace {workspace!r} has no location {scope.name!r}.", cure="`amasia location list` shows them."
        )


def _count(tx: Connection, workspace: str, budget_id: str) -> None:
    """Fill a new budget with what is spent in the periods from today on, and what is reserved in them."""
    ledger = Ledger(tx, workspace)
    budget = ledger.budgets[budget_id]
    spent: Counter[Key] = Counter()
    first = budget.first(ledger.today)
    for day, amount in rows.spent_by_day(tx, workspace, budget.scope, first.isoformat()):
        spent[budget_id, budget.key(date.fromisoformat(day))] += amount
    if budget.scope.kind == "workspace":
        for day, amount in costs.besides_by_day(tx, workspace, Span(since=first)).items():
            spent[budget_id, budget.key(date.fromisoformat(day))] += amount
    held = {}
    for machine, account in machines.reserving(tx, workspace):
        mine = leases.outstanding(ledger, machine, account)
        held[machine.id] = {key: amount for key, amount in mine.items() if key[0] == budget_id}
    rows.hold(tx, {}, held)
    reserved: Counter[Key] = Counter()
    for one in held.values():
        reserved.update(one)
    for key in sorted(spent.keys() | reserved.keys()):
        told = mark(spent[key] + reserved[key], budget.room(key[1]))
        rows.write(tx, key, Count(spent=spent[key], reserved=reserved[key], told=told))
