"""What repositories take up is charged to the micro-unit, and never past the budget."""

import itertools
from datetime import timedelta

import pytest

from amasia.models.base import now
from amasia.models.budgets import BudgetRequest
from amasia.models.repositories import RepositoryRequest
from amasia.models.storage import GIB, MONTH_MS, Cleaned, CleaningRequest, CleaningStatus
from amasia.services import budgets, cleanings, repositories, storage

PRICE = 20_000
BEGIN = now()


@pytest.fixture
def data(world):
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="data"))
    repositories.made(world.db, repositories.get(world.db, "lab", "data"))
    return repositories.get(world.db, "lab", "data")


def measure(world, data, nbytes, after):
    return storage.measured(world.db, data, PRICE, nbytes, 10, nbytes, BEGIN + after)


def test_short_stretches_cost_together_what_the_whole_costs(world, data):
    month = timedelta(milliseconds=MONTH_MS)
    for number in range(101):
        measure(world, data, 3 * GIB, month * number / 100)
    found = budgets.costs(world.db, world.ada, "lab", None)
    assert found.storage_amount == 3 * PRICE
    assert [(line.key, line.nbytes, line.amount) for line in found.storage] == [("data", 3 * GIB, 3 * PRICE)]
    charged = storage.charges(world.db, "lab", 0)
    assert sum(charge.amount for charge in charged) == 3 * PRICE == budgets.get(world.db, "lab").spent
    assert all(one.end == two.start for one, two in itertools.pairwise(charged))


def test_a_budget_that_is_full_is_not_passed_and_the_time_is_charged_when_it_is_raised(world, data):
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=PRICE - 1))
    month = timedelta(milliseconds=MONTH_MS)
    assert measure(world, data, GIB, month * 0)
    assert not measure(world, data, GIB, month)
    assert budgets.get(world.db, "lab").spent == 0
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=10 * PRICE))
    assert measure(world, data, GIB, month * 2)
    assert budgets.get(world.db, "lab").spent == 2 * PRICE


def test_what_a_deleted_repository_cost_stays_on_the_bill(world, data):
    measure(world, data, GIB, timedelta())
    measure(world, data, GIB, timedelta(days=30))
    spent = budgets.costs(world.db, world.ada, "lab", None).storage_amount
    repositories.delete(world.db, world.ada, "lab", "data")
    found = budgets.costs(world.db, world.ada, "lab", None)
    assert (found.storage_amount, found.storage[0].nbytes) == (spent, 0)


def test_a_deleted_repository_is_removed_after_the_time_of_grace(world, data):
    repositories.delete(world.db, world.ada, "lab", "data")
    assert cleanings.buried(world.db, now() - timedelta(days=30)) == []
    (found,) = cleanings.buried(world.db, now() + timedelta(seconds=1))
    assert (found.id, found.bucket) == (data.id, data.bucket)
    cleanings.removed(world.db, found, 3, 100)
    assert cleanings.buried(world.db, now() + timedelta(seconds=1)) == []


def test_a_cleaning_is_a_wish_that_goes_step_by_step(world, data):
    asked = cleanings.create(world.db, world.ada, "lab", "data", CleaningRequest(older_than=60))
    session = timedelta(hours=20)
    assert [one.id for one in cleanings.due(world.db, session)] == [asked.id]
    cleanings.advance(world.db, asked, CleaningStatus.expired, Cleaned(snapshots=("S0",)))
    assert cleanings.due(world.db, session) == []
    assert [one.id for one in cleanings.due(world.db, -session)] == [asked.id]
    cleanings.advance(world.db, asked, CleaningStatus.done, Cleaned(snapshots=("S0",), objects=4, nbytes=100))
    assert cleanings.due(world.db, -session) == []
    assert cleanings.get(world.db, "lab", "data", asked.id).result.nbytes == 100
