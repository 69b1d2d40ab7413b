"""What a month and each budget are going to cost, by what the days before have cost and what runs now."""

from collections import Counter
from datetime import date, timedelta

from sqlalchemy import Connection

from amasia.database import budgets, machines, users
from amasia.database import costs as rows
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.budgets import Budget, Period
from amasia.models.calendars import next_month, today
from amasia.models.costs import Span
from amasia.models.forecasts import FARTHEST, WEEKS, BudgetForecast, Forecast, Outlook, runs_out
from amasia.models.permissions import Role
from amasia.models.users import Principal
from amasia.services.costs import whose


def get(db: Database, who: Principal, role: Role, workspace: str) -> Forecast:
    """Of this month, and of every budget in its own period."""
    with db.read() as tx:
        found = users.get_workspace(tx, workspace)
        user, day = whose(who, role), today(now(), found.time_zone)
        spent = _spent(tx, workspace, min(day.replace(day=1), day - timedelta(weeks=WEEKS)), user)
        reserved = sum(one.amount for one in rows.promised(tx, workspace, user))
        outlook = Outlook({on: amount for on, amount in spent.items() if on < day}, day, spent.get(day, 0) + reserved)
        until = next_month(day) - timedelta(days=1)
        ahead = outlook.ahead(until)
        so_far = sum(amount for on, amount in spent.items() if (on.year, on.month) == (day.year, day.month))
        expected = so_far + reserved + sum(one.amount for one in ahead)
        spread = outlook.spread(len(ahead))
        return Forecast(
            workspace=workspace,
            currency=found.currency,
            user=user or "",
            today=day,
            until=until,
            spent=so_far,
            reserved=reserved,
            rate=machines.rate(tx, workspace, user),
            expected=expected,
            low=None if spread is None else max(so_far, expected - spread),
            high=None if spread is None else expected + spread,
            method=outlook.method,
            days=tuple(ahead),
            budgets=tuple(_budget(tx, one, day) for one in budgets.counted(tx, workspace, now())),
        )


def spent_by_day(db: Database, who: Principal, role: Role, workspace: str, since: date) -> dict[date, int]:
    """What each day has cost, from one on; days that cost nothing are not there."""
    with db.read() as tx:
        return _spent(tx, workspace, since, whose(who, role))


def _spent(tx: Connection, workspace: str, since: date, user: str | None) -> dict[date, int]:
    """By day; of the whole workspace with storage and egress, which budgets of users do not count."""
    span = Span(since=since)
    found = Counter({line.key: line.amount for line in rows.by_day(tx, workspace, span, user)})
    if user is None:
        found.update(rows.besides_by_day(tx, workspace, span))
    return {date.fromisoformat(key): amount for key, amount in found.items()}


def _budget(tx: Connection, budget: Budget, day: date) -> BudgetForecast:
    used = budget.spent + budget.reserved
    ends = _ends(budget, day)
    past: Counter[date] = Counter()
    since = day - timedelta(weeks=WEEKS)
    for key, amount in budgets.spent_by_day(tx, budget.workspace, budget.scope, since.isoformat()):
        past[date.fromisoformat(key)] += amount
    if budget.scope.kind == "workspace":
        besides = rows.besides_by_day(tx, budget.workspace, Span(since=since))
        past.update({date.fromisoformat(key): amount for key, amount in besides.items()})
    so_far = past.pop(day, 0) + budget.reserved
    ahead = Outlook(past, day, so_far).ahead(min(ends or date.max, day + timedelta(days=FARTHEST)))
    return BudgetForecast(
        name=budget.name,
        limit=budget.limit,
        used=used,
        ends=ends,
        expected=used + sum(one.amount for one in ahead) if ends else None,
        runs_out=runs_out(budget.left, ahead),
    )


def _ends(budget: Budget, day: date) -> date | None:
    """Last day of the period that a day is in."""
    if budget.period is Period.day:
        return day
    if budget.period is Period.month:
        return next_month(day) - timedelta(days=1)
    return budget.ends if budget.ends and budget.ends >= day else None
