"""Egress is what the clouds' bills say: taken once, of one's own only, and in the bill beside all else."""

from datetime import date, timedelta

import pytest

from amasia import errors
from amasia.database import events as event_rows
from amasia.database import machines as machine_rows
from amasia.database.tables import egress as egress_rows
from amasia.database.tables import egress_costs
from amasia.models.base import now
from amasia.models.budgets import BudgetRequest, NewBudget
from amasia.models.costs import MOST, Cut
from amasia.models.egress import EgressRequest
from amasia.models.events import EventFilter
from amasia.models.permissions import Role
from amasia.models.repositories import BucketRequest, RepositoryRequest
from amasia.services import alerts, budgets, clusters, costs, egress, forecasts, repositories, usage
from tests.services.test_budgets import aged, beat
from tests.services.test_leases import joined

DAY, NEXT = (now().date() - timedelta(days=days) for days in (2, 1))


@pytest.fixture
def cloud(world):
    """A cluster of ada's whose machines a cloud named i-0 and i-1, and her bucket with one repository."""
    made = world.cluster(n_workers=1, tags={"project": "x"})
    for number, machine in enumerate(made.machines):
        with world.db.write() as tx:
            machine_rows.update(tx, machine.id, handle={"instance": f"i-{number}"})
    bucket(world, "store", "s3://lab-data/amasia")
    keep(world, "data", "store")
    return made


def bucket(world, name, uri, workspace="lab", who=None, kind="s3"):
    request = BucketRequest(name=name, kind=kind, uri=uri, access_key="a", secret_key="s")
    made = repositories.create_bucket(world.db, who or world.ada, workspace, request)
    repositories.tried(world.db, made)


def keep(world, name, bucket):
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name=name, bucket=bucket))


def take(world, amounts, **changes):
    request = EgressRequest.model_validate({"currency": "EUR", "amounts": amounts, **changes})
    return egress.take(world.db, world.ada, "lab", request)


def bill(world, who="ada", role=Role.owner, **days):
    return costs.get(world.db, getattr(world, who), role, "lab", **days)


def keys(lines):
    return {line.key: line.amount for line in lines}


def kept(world):
    """What is known of each resource and day, of which the sums are the sums."""
    with world.db.read() as tx:
        found = {(row.resource, row.day): row.amount for row in tx.execute(egress_rows.select())}
        assert sum(row.amount for row in tx.execute(egress_costs.select())) == sum(found.values())
    return found


def test_machines_and_buckets_of_ones_own_are_on_the_bill_and_on_the_budget(world, cloud):
    taken = take(world, {"i-0": {DAY: 5, NEXT: 7}, "i-1": {DAY: 11}, "lab-data": {DAY: 100}})
    assert (taken.resources, taken.amount, taken.change, taken.unknown) == (3, 123, 123, ())
    found = bill(world)
    assert keys(found.egress) == {"machines of ada": 23, "repository data": 100}
    assert (found.egress_amount, found.amount) == (123, 0)
    assert budgets.get(world.db, "lab").spent == 123
    assert bill(world, since=NEXT).egress_amount == 7
    page = costs.find(world.db, world.ada, Role.owner, "lab", Cut.egress)
    assert keys(page.items) == keys(found.egress)
    assert forecasts.spent_by_day(world.db, world.ada, Role.owner, "lab", date.min) == {DAY: 116, NEXT: 7}


def test_a_newer_version_of_a_bill_replaces_the_days_that_it_tells_of_and_never_doubles(world, cloud):
    for _ in range(2):
        taken = take(world, {"i-0": {DAY: 5, NEXT: 7}, "lab-data": {DAY: 100}})
    assert taken.change == 0
    taken = take(world, {"i-0": {NEXT: 9}, "lab-data": {DAY: 40, NEXT: 0}})
    assert (taken.amount, taken.change) == (49, 49 - 107)
    assert kept(world) == {("i-0", str(DAY)): 5, ("i-0", str(NEXT)): 9, ("lab-data", str(DAY)): 40}
    assert budgets.get(world.db, "lab").spent == bill(world).egress_amount == 54
    take(world, {"i-0": {DAY: 0}})
    assert ("i-0", str(DAY)) not in kept(world)
    assert budgets.get(world.db, "lab").spent == 49


def test_what_is_nobodys_in_the_workspace_is_told_by_name_and_not_taken(world, cloud):
    bucket(world, "store", "s3://their-data", "other", world.eve)
    taken = take(world, {"i-9": {DAY: 5}, "their-data": {DAY: 50}, "i-0": {DAY: 1}})
    assert (taken.unknown, taken.amount) == (("i-9", "their-data"), 1)
    assert set(kept(world)) == {("i-0", str(DAY))}
    assert costs.get(world.db, world.eve, Role.owner, "other").egress == ()
    assert take(world, {}).resources == 0


@pytest.mark.parametrize(("kind", "uri"), [("gcs", "gs://lab-two"), ("azure", "az://labtwo/container")])
def test_the_egress_of_a_bucket_of_several_is_told_under_the_bucket(world, cloud, kind, uri):
    name = uri.split("/")[2]
    bucket(world, "two", uri, kind=kind)
    take(world, {name: {DAY: 5}})
    assert keys(bill(world).egress) == {f"bucket {name}": 5}
    keep(world, "one", "two")
    take(world, {name: {DAY: 6}})
    assert keys(bill(world).egress) == {"repository one": 6}
    keep(world, "more", "two")
    take(world, {name: {DAY: 7}})
    assert keys(bill(world).egress) == {f"bucket {name}": 7}


def test_a_member_sees_that_of_their_machines_and_of_repositories_that_they_may_read(world, cloud):
    bucket(world, "two", "s3://lab-two")
    take(world, {"i-0": {DAY: 5}, "lab-data": {DAY: 100}, "lab-two": {DAY: 1000}})
    assert keys(bill(world, "bo", Role.member).egress) == {"repository data": 100}
    assert bill(world, "bo", Role.admin).egress_amount == 1105
    assert keys(bill(world, "eve", Role.billing).egress) == {
        "machines of ada": 5, "bucket lab-data": 100, "bucket lab-two": 1000}  # fmt: skip
    assert costs.get(world.db, world.eve, Role.guest, "lab").egress == ()
    seen = usage.find(world.db, world.bo, Role.member, "lab").items
    assert [(one.kind, one.resource, one.name) for one in seen] == [("egress", "lab-data", "data")]
    seen = usage.find(world.db, world.eve, Role.billing, "lab").items
    assert [(one.resource, one.name) for one in seen][1] == ("lab-data", "")


def test_usage_says_of_each_resource_and_day_whose_and_where(world, cloud):
    take(world, {"i-0": {DAY: 5}})
    (one,) = usage.find(world.db, world.ada, Role.owner, "lab").items
    assert (one.kind, one.day, one.amount, one.resource, one.user) == ("egress", DAY, 5, "i-0", "ada")
    assert (one.name, one.location, one.tags, one.provider) == (cloud.name, "local", {"project": "x"}, "local")
    assert one.id.startswith("ma-")


def test_what_was_spent_is_booked_past_the_limit_and_then_nothing_starts_or_goes_on(world, cloud):
    _, machine = cloud.machines
    joined(world, machine)
    aged(world, machine, 20)
    reserved = budgets.get(world.db, "lab").reserved
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=reserved + 10**6))
    assert take(world, {"i-0": {DAY: 600_000, NEXT: 400_000}}).passed == ()
    assert take(world, {"lab-data": {DAY: 5}}).passed == ("workspace",)
    assert take(world, {"lab-data": {DAY: 5}}).passed == ()
    found = budgets.get(world.db, "lab")
    assert (found.spent, found.reserved, found.left) == (10**6 + 5, reserved, -5)
    assert bill(world).egress_amount == 10**6 + 5
    with pytest.raises(errors.BudgetExceeded, match=r"-0\.000005 EUR left"):
        world.cluster(n_workers=0)
    beat(world, machine, now())
    assert clusters.get(world.db, "lab", cloud.id).ends_at is not None
    assert budgets.get(world.db, "lab").left == -5
    told = [one.percent for one in alerts.take(world.db, world.ada)]
    assert sorted(told) == [95, 100]
    assert take(world, {"i-0": {DAY: 0}}).passed == ()
    assert clusters.get(world.db, "lab", cloud.id).ends_at is None
    assert world.cluster(n_workers=0).machines


def test_a_bill_of_days_that_are_over_or_outside_of_a_grant_is_booked_and_ends_nothing_today(world, cloud):
    today = now().date()
    grant = {"period": "grant", "starts": today, "ends": today}
    budgets.create(world.db, world.ada, "lab", NewBudget(name="grant", limit=300_000, **grant))
    budgets.create(world.db, world.ada, "lab", NewBudget(name="daily", period="day", limit=300_000))
    assert take(world, {"i-0": {DAY: 400_000}}).passed == ()
    assert alerts.take(world.db, world.ada) == []
    assert world.cluster(n_workers=0).machines
    assert take(world, {"i-0": {today: 300_000}}).passed == ("grant", "daily")
    with pytest.raises(errors.BudgetExceeded):
        world.cluster(n_workers=0)


def test_budgets_count_it_in_the_period_of_the_bills_day_also_those_made_later(world, cloud):
    budgets.create(world.db, world.ada, "lab", NewBudget(name="daily", period="day", limit=10**6))
    take(world, {"i-0": {now().date(): 5, DAY: 7}})
    budgets.create(world.db, world.ada, "lab", NewBudget(name="later", period="day", limit=10**6))
    budgets.create(world.db, world.ada, "lab", NewBudget(name="all", limit=10**6))
    spent = {one.name: one.spent for one in budgets.find(world.db, "lab")}
    assert spent == {"workspace": 12, "daily": 5, "later": 5, "all": 12}


def test_one_event_tells_of_each_bill_in_its_transaction(world, cloud):
    take(world, {"i-0": {DAY: 5}, "i-9": {NEXT: 7}})
    with pytest.raises(errors.InvalidRequest, match="USD, and the workspace counts in EUR"):
        take(world, {"i-0": {DAY: 5}}, currency="USD")
    with world.db.read() as tx:
        (event,) = event_rows.page(tx, "lab", EventFilter(verb="egress.take"), None, 10)
    assert event.actor == "ada"
    assert event.detail == {"first": str(DAY), "last": str(NEXT), "currency": "EUR", "resources": 1, "amount": 5,
                            "change": 5, "passed": []}  # fmt: skip


@pytest.mark.parametrize(
    "amounts",
    [{"": {DAY: 1}}, {"i\0": {DAY: 1}}, {"i": {"1999-12-31": 1}}, {"i": {DAY: 10**17, NEXT: 1}}, {"i": {DAY: 0.5}}],
)
def test_what_is_no_egress_is_refused(amounts):
    with pytest.raises(ValueError, match="validation error"):
        EgressRequest.model_validate({"currency": "EUR", "amounts": amounts})


def test_very_many_lines_end_in_one_for_the_others(world, cloud):
    for number in range(MOST + 2):
        bucket(world, f"b{number}", f"s3://lab-{number}")
    take(world, {f"lab-{number}": {DAY: 1 + number} for number in range(MOST + 2)})
    found = bill(world)
    assert len(found.egress) == MOST + 1
    assert found.egress[-1].key == "(others)"
    assert sum(line.amount for line in found.egress) == found.egress_amount


@pytest.mark.parametrize("amount", [-1, -(10**18)])
def test_a_credit_makes_no_budget_larger(amount):
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        EgressRequest(currency="EUR", amounts={"i-0": {DAY: amount}})


def test_egress_that_is_yet_to_come_is_refused(world, cloud):
    later = now().date() + timedelta(days=2)
    with pytest.raises(errors.InvalidRequest, match="is yet to come"):
        take(world, {"i-0": {later: 5}})
    assert kept(world) == {}
