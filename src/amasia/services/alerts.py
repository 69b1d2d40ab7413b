"""What people are told of budgets: at 50, 80 and 95 per cent, and when something is refused; each once in a period."""

from collections.abc import Iterable

from sqlalchemy import Connection

from amasia.database import alerts as rows
from amasia.database import users
from amasia.database.engine import Database
from amasia.models.alerts import USED_UP, Alert
from amasia.models.base import now
from amasia.models.budgets import Budget
from amasia.models.calendars import today
from amasia.models.money import show
from amasia.models.permissions import Role
from amasia.models.users import Principal

LAST = 20


def find(db: Database, who: Principal, workspace: str) -> list[Alert]:
    """What the caller was told of late, newest first."""
    with db.read() as tx:
        return rows.last(tx, workspace, who.user, LAST)


def take(db: Database, who: Principal) -> list[Alert]:
    """What the caller's terminal has not shown yet, of all workspaces. The next call gives none of these."""
    with db.read() as tx:
        if not rows.waiting(tx, who.user):
            return []
    with db.write() as tx:
        return rows.take(tx, who.user)


def tell(tx: Connection, budget: Budget, key: str, percent: int, spenders: Iterable[str]) -> None:
    """Tell who made the budget, and whoever spends; the workspace's owners, where its maker is gone."""
    members = {one.user: one.role for one in users.members(tx, budget.workspace)}
    owners = {budget.owner} if budget.owner in members else {one for one, role in members.items() if role is Role.owner}
    for user in sorted(owners | {one for one in spenders if one in members}):
        rows.append(tx, workspace=budget.workspace, budget=budget.name, percent=percent,
                    text=_text(budget, key, percent), user=user)  # fmt: skip


def _text(budget: Budget, key: str, percent: int) -> str:
    turns = budget.turns(today(now(), budget.time_zone)) if budget.period.recurs else None
    until = f" until {turns:%Y-%m-%d %H:%M} ({budget.time_zone})" if turns else ""
    if percent == USED_UP:
        return f"The budget {budget} is used up{until}: nothing starts on it, and what runs on it ends."
    used, left = budget.spent + budget.reserved, budget.room(key) - budget.spent - budget.reserved
    return (
        f"{percent} % of the budget {budget} are spent or promised to what runs: {show(used, budget.currency)}; "
        f"{show(left, budget.currency)} are left{until}."
    )
