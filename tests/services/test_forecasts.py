"""The forecast of a month and of its budgets, from the sums and from what runs."""

from datetime import UTC, date, datetime

import pytest

from amasia.models.budgets import BudgetRequest, NewBudget, NewScope
from amasia.models.permissions import Role
from amasia.services import budgets, forecasts

from .test_costs import charge

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)


@pytest.fixture
def month(world, monkeypatch):
    """Ten days of 100 each, of ada's; and bo's of 50 on one."""
    monkeypatch.setattr("amasia.services.forecasts.now", lambda: NOON)
    monkeypatch.setattr("tests.services.test_costs.TODAY", NOON.date())
    for days_ago in range(1, 11):
        charge(world, "ada", 100, days_ago)
    return world


def forecast(world, who="ada", role=Role.owner):
    return forecasts.get(world.db, getattr(world, who), role, "lab")


def test_a_month_ends_where_its_days_lead(month):
    found = forecast(month)
    assert (found.today, found.until) == (date(2026, 11, 10), date(2026, 11, 30))
    assert (found.spent, found.expected, found.low, found.high) == (900, 900 + 21 * 100, 3000, 3000)
    assert len(found.days) == 21


def test_what_runs_counts_for_today_and_each_sees_their_own(month):
    month.cluster(n_workers=1)
    found = forecast(month)
    assert found.reserved > 100
    assert found.expected == 900 + found.reserved + 20 * 100
    mine = forecast(month, "bo", Role.member)
    assert (mine.user, mine.spent, mine.reserved, mine.rate, mine.expected) == ("bo", 0, 0, 0, 0)


def test_budgets_say_when_they_are_used_up(month):
    request = NewBudget(name="ada", scope=NewScope(kind="user", name="ada"), period="month", limit=1250)
    budgets.create(month.db, month.ada, "lab", request)
    budgets.create(month.db, month.ada, "lab", NewBudget(name="bo", scope=NewScope(kind="user", name="bo"), limit=9))
    with month.db.write() as tx:
        from amasia.database import budgets as rows
        from amasia.models.budgets import Count

        rows.write(tx, (rows.find_id(tx, "lab", "ada"), "2026-11"), Count(spent=900))
    monkey = {one.name: one for one in forecast(month).budgets}
    assert monkey["ada"].used == 900
    assert monkey["ada"].expected == 900 + 21 * 100
    assert monkey["ada"].runs_out == date(2026, 11, 13)
    assert monkey["bo"].runs_out is None
    assert monkey["bo"].ends is monkey["bo"].expected is None


def test_an_empty_workspace_has_a_forecast_of_nothing(world):
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=5))
    found = forecast(world)
    assert (found.spent, found.expected, found.low) == (0, 0, None)
    assert found.budgets[0].runs_out is None
