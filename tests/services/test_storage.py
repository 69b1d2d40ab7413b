"""What repositories take up is charged to the micro-unit, and never past the budget."""

import itertools
from datetime import timedelta

import pytest

from amasia.models.base import now
from amasia.models.budgets import BudgetRequest
from amasia.models.permissions import Role
from amasia.models.repositories import RepositoryRequest
from amasia.models.sizes import GIB
from amasia.models.storage import MONTH_MS, Cleaned, CleaningRequest, CleaningStatus
from amasia.services import budgets, cleanings, costs, refs, repositories, storage

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
    found = costs.get(world.db, world.ada, Role.owner, "lab")
    assert found.storage_amount == 3 * PRICE
    assert [(line.key, line.nbytes, line.amount) for line in found.storage] == [("data", 3 * GIB, 3 * PRICE)]
    charged = storage.charges(world.db, "lab", 0)
    assert sum(charge.amount for charge in charged) == 3 * PRICE == budgets.get(world.db, "lab").spent
    assert all(one.end == two.start for one, two in itertools.pairwise(charged))


def commit(world, data, number, after, nbytes):
    """One that landed so long after the beginning and added so much; None for one whose size is not known yet."""
    snapshot = f"S{number}"
    item = {"branch": "main", "snapshot": snapshot, "parent": f"S{number - 1}" if number else "", "message": snapshot,
            "at": BEGIN + after, "metadata": {}}  # fmt: skip
    repositories.index(world.db, data, [item], BEGIN + after)
    if nbytes is not None:
        storage.sized(world.db, data.id, snapshot, nbytes, nbytes - 1)


def test_the_bill_by_snapshot_sums_to_the_whole_and_each_pays_for_the_time_it_was_there(world, data):
    month = timedelta(milliseconds=MONTH_MS)
    commit(world, data, 0, month * 0, GIB)
    measure(world, data, 2 * GIB, month * 0)  # another GiB that belongs to no snapshot
    commit(world, data, 1, month * 0.5, 3 * GIB)
    measure(world, data, 5 * GIB, month)
    commit(world, data, 2, month * 1.5, 7)
    measure(world, data, 5 * GIB + 7, month * 2)
    commit(world, data, 3, month * 3, GIB)  # after all was counted last
    found = storage.bill(world.db, "lab", "data", limit=2)
    newest = [(one.snapshot, one.nbytes, one.chunks_nbytes, one.amount) for one in found.snapshots]
    assert newest == [("S3", GIB, GIB - 1, 0), ("S2", 7, 6, 0)]
    assert (found.older.nbytes, found.older.amount) == (4 * GIB, 2 * PRICE + 3 * PRICE)
    assert (found.rest.nbytes, found.rest.amount) == (GIB, 2 * PRICE)
    assert found.nbytes == 6 * GIB + 7
    assert found.amount == costs.get(world.db, world.ada, Role.owner, "lab").storage_amount == 7 * PRICE
    shown = refs.history(world.db, "lab", "data", "S3", 50)
    assert [one.nbytes for one in shown] == [GIB, 7, 3 * GIB, GIB]


def test_what_a_snapshot_added_is_asked_for_once_also_where_it_cannot_be_told(world, data):
    for number in range(3):
        commit(world, data, number, timedelta(seconds=number), None)
    assert [one.snapshot for _, one in storage.unsized(world.db, 2)] == ["S2", "S1"]
    storage.sized(world.db, data.id, "S2", None, None)
    storage.sized(world.db, data.id, "S0", 5, 1)
    assert [one.snapshot for _, one in storage.unsized(world.db, 9)] == ["S1"]
    found = storage.bill(world.db, "lab", "data", limit=9)
    assert [one.snapshot for one in found.snapshots] == ["S0"]
    assert (found.nbytes, found.amount, found.measured_at) == (5, 0, None)


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
    spent = costs.get(world.db, world.ada, Role.owner, "lab").storage_amount
    repositories.delete(world.db, world.ada, "lab", "data")
    found = costs.get(world.db, world.ada, Role.owner, "lab")
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
