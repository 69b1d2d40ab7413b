"""The bill: every cut sums to what was charged, and each sees their own."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from amasia.database import budgets as rows
from amasia.database.tables import charges, cluster_costs, daily_costs, storage_charges, storage_costs
from amasia.models.base import now
from amasia.models.budgets import Charge
from amasia.models.costs import MOST, Cut
from amasia.models.permissions import Role
from amasia.services import costs, repositories, storage

TODAY = now().date()
PLAIN = (Cut.day, Cut.user, Cut.location, Cut.machine_type)


def charge(
    world, user, amount, days_ago=0, *, cluster=None, kind="small", tags=None, location="local", group="", groups=()
):
    end = datetime.combine(TODAY - timedelta(days=days_ago), datetime.min.time(), UTC) + timedelta(hours=1)
    item = Charge(id=0, workspace="lab", user=user, cluster_id=cluster, machine_id="ma-1", machine_type=kind,
                  group=group, location=location, tags=tags or {}, groups=groups, day=end.date().isoformat(),
                  start=end - timedelta(seconds=1), end=end, milliseconds=1000, amount=amount)  # fmt: skip
    with world.db.write() as tx:
        rows.charge(tx, [item])


def bill(world, who="ada", role=Role.owner, **days):
    return costs.get(world.db, getattr(world, who), role, "lab", **days)


def keys(lines):
    return {line.key: line.amount for line in lines}


def test_every_cut_sums_to_the_charges(world):
    charge(world, "ada", 5, tags={"project": "x"})
    charge(world, "ada", 7, 1, kind="large", location="aws")
    charge(world, "bo", 11, 40)
    found = bill(world)
    assert found.amount == 23
    assert found.milliseconds == 3000
    assert keys(found.by_user) == {"ada": 12, "bo": 11}
    assert keys(found.by_machine_type) == {"small": 16, "large": 7}
    assert keys(found.by_location) == {"local": 16, "aws": 7}
    assert keys(found.by_tag) == {"project=x": 5, "(no tag)": 18}
    assert keys(found.by_view) == {"(no view)": 23}
    assert keys(found.by_repository) == {"(no commit)": 23}
    assert [line.amount for line in found.by_day] == [11, 7, 5]
    assert keys(found.by_cluster) == {"warm": 23}


def test_sums_are_the_charges_to_the_micro_unit_however_they_came(world):
    for number in range(30):
        charge(world, "ada" if number % 2 else "bo", number, number % 3, tags={"b": "2", "a": "1"})
    with world.db.read() as tx:
        charged = tx.execute(select(func.sum(charges.c.amount), func.sum(charges.c.milliseconds))).one()
        for table, where in (
            (cluster_costs, True),
            *((daily_costs, (daily_costs.c.cut == cut) & (daily_costs.c.user == "")) for cut in PLAIN),
            *((daily_costs, (daily_costs.c.cut == cut) & (daily_costs.c.user != "")) for cut in PLAIN),
        ):
            sums = select(func.sum(table.c.amount), func.sum(table.c.milliseconds)).where(where)
            assert tx.execute(sums).one() == charged
        days = select(func.count()).where(daily_costs.c.cut == Cut.day, daily_costs.c.user == "")
        assert tx.execute(days).scalar_one() == 3


def test_a_member_sees_what_is_their_own_and_who_manages_sees_all(world):
    charge(world, "ada", 5)
    charge(world, "bo", 11)
    found = bill(world, "bo", Role.member)
    assert (found.amount, found.user) == (11, "bo")
    assert keys(found.by_user) == {"bo": 11}
    assert [line.amount for line in found.by_day] == [11]
    assert bill(world, "bo", Role.admin).amount == 16
    assert [one.user for one in costs.charges(world.db, world.bo, Role.member, "lab", 0)] == ["bo"]
    assert len(costs.charges(world.db, world.bo, Role.admin, "lab", 0)) == 2
    mine = costs.find(world.db, world.bo, Role.viewer, "lab", Cut.tag).items
    assert keys(mine) == {"(no tag)": 11}


def test_days_are_whole_and_a_moment_stands_for_its_day(world):
    for days_ago in range(4):
        charge(world, "ada", 10**days_ago, days_ago)
    since, until = TODAY - timedelta(days=2), TODAY - timedelta(days=1)
    assert bill(world, since=since, until=until).amount == 110
    assert bill(world, since=datetime(since.year, since.month, since.day, 23, 59, tzinfo=UTC)).amount == 111
    assert bill(world, until=date.min).amount == 0


def test_what_is_promised_is_shown_apart_and_only_for_days_that_are_not_over(world):
    made = world.cluster(n_workers=2)
    found = bill(world)
    assert found.amount == 0
    assert found.reserved == sum(line.reserved for line in found.by_cluster) > 0
    assert found.by_cluster[0].key == made.name
    assert [line.reserved for line in found.by_machine_type] == [found.reserved]
    assert bill(world, until=TODAY - timedelta(days=1)).reserved == 0


def test_clusters_come_page_by_page_and_together_are_the_whole(world):
    names = []
    for number in range(3):
        made = world.cluster(n_workers=0)
        names.insert(0, made.name)
        charge(world, "ada", 10**number, cluster=made.id)
    charge(world, "ada", 1000)
    seen, after = [], 0
    while True:
        page = costs.find(world.db, world.ada, Role.owner, "lab", Cut.cluster, after=after, limit=2)
        seen += page.items
        if not page.next:
            break
        after = int(page.next)
    assert [(line.key, line.amount) for line in seen] == [*zip(names, (100, 10, 1), strict=True), ("warm", 1000)]


@pytest.mark.parametrize("cut", Cut)
def test_every_cut_is_a_page_of_its_own(world, cut):
    charge(world, "ada", 5, tags={"a": "b"}, groups=("phds",))
    page = costs.find(world.db, world.ada, Role.owner, "lab", cut)
    assert page.next == ""
    assert sum(line.amount for line in page.items) == (0 if cut in (Cut.storage, Cut.egress) else 5)


def test_a_cut_with_very_many_lines_ends_in_one_for_the_others(world):
    for number in range(MOST + 5):
        charge(world, "ada", number, tags={"job": str(number)})
    found = bill(world).by_tag
    assert len(found) == MOST + 1
    assert found[-1].key == "(others)"
    assert sum(line.amount for line in found) == bill(world).amount
    assert len(costs.find(world.db, world.ada, Role.owner, "lab", Cut.tag).items) == MOST + 5


def test_storage_is_summed_with_its_charges(lake):
    world = lake.world
    repository = repositories.get(world.db, "lab", "data")
    at = now()
    for days in (0, 40, 80):
        storage.measured(world.db, repository, 20_000, 4 << 30, 9, 1 << 30, at + timedelta(days=days))
    with world.db.read() as tx:
        assert (tx.execute(select(func.sum(storage_charges.c.amount))).scalar_one()
                == tx.execute(select(func.sum(storage_costs.c.amount))).scalar_one() > 0)  # fmt: skip
    assert bill(world, until=(at + timedelta(days=41)).date()).storage_amount * 2 == pytest.approx(
        bill(world).storage_amount, abs=2
    )
