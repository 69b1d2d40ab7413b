"""Machines that are kept warm: there are as many as are to be, they cost, and clusters take them first."""

from datetime import timedelta

import pytest

from amasia import errors
from amasia.database import machines as rows
from amasia.database import standbys as standby_rows
from amasia.models.base import now
from amasia.models.budgets import BudgetRequest, NewBudget, NewScope
from amasia.models.clusters import ClusterRequest, ClusterSpec
from amasia.models.limits import LimitsRequest
from amasia.models.machines import Heartbeat, Join, MachineRole, MachineStatus, ProcessReport
from amasia.models.permissions import Role
from amasia.models.standbys import StandbyRequest
from amasia.services import budgets, clusters, costs, heartbeats, joins, limits, locations, machines, standbys

HALF = timedelta(seconds=30)
PRICE = 750
"""Of the first lease of a small machine."""


def keep(world, number, machine_type="small", hours=None):
    request = StandbyRequest(machines=number, hours=hours)
    standbys.put(world.db, world.ada, "lab", "local", machine_type, request)
    standbys.follow(world.db, world.settings)
    standbys.follow(world.db, world.settings)
    return kept(world)


def kept(world):
    with world.db.read() as tx:
        every = [machine for machine, _ in rows.accounts(tx)]
    return [one for one in every if one.role is MachineRole.warm and one.target.value == "running"
            and one.status is not MachineStatus.stopped]  # fmt: skip


def warm_up(world, machine):
    """Its agent joins, and says that the environment is ready."""
    boot = machines.begin(world.db, world.settings, machine)
    machines.accepted(world.db, machine, {})
    joined = joins.join(world.db, world.settings, Join(
        machine_id=machine.id, join_token=boot.join_token, agent_version="0", started_at=now()))  # fmt: skip
    beat(world, machine)
    return joined


def beat(world, machine, status="warm", **more):
    said = Heartbeat(at=now(), process=ProcessReport(status=status), stages={"environment_ready": now()}, **more)
    return heartbeats.hear(world.db, world.settings, machine.id, said)


def test_as_many_as_are_to_be_are_wished_once_and_paid_for_in_advance(world):
    assert [machine.machine_type for machine in keep(world, 2)] == ["small", "small"]
    standbys.follow(world.db, world.settings)
    assert len(kept(world)) == 2
    assert budgets.get(world.db, "lab").reserved == 2 * PRICE
    (seen,) = standbys.find(world.db, "lab", "local")
    assert (seen.machines, seen.ready, seen.created_by) == (2, 0, "ada")


def test_none_ends_them_and_so_does_their_time(world):
    keep(world, 2)
    assert len(keep(world, 1)) == 1
    assert keep(world, 0) == []
    assert standbys.find(world.db, "lab")[0].machines == 0, "until the last one has ended"
    assert all_end(world) == []
    keep(world, 1, hours=1e-9)
    standbys.follow(world.db, world.settings)
    assert kept(world) == []
    assert all_end(world) == []
    assert budgets.get(world.db, "lab").reserved == 0


def all_end(world):
    """Their provider no longer has them; what is said to be kept then."""
    with world.db.read() as tx:
        every = [machine for machine, _ in rows.accounts(tx)]
    for machine in every:
        machines.gone(world.db, machine, None)
    standbys.follow(world.db, world.settings)
    return standbys.find(world.db, "lab")


def test_what_cannot_be_kept_is_refused_at_once(world):
    for machine_type, number, error in (("huge", 1, errors.NotFound), ("small", 99, errors.TooLarge)):
        with pytest.raises(error):
            keep(world, number, machine_type)
    assert standbys.find(world.db, "lab") == []


def test_a_budget_that_does_not_hold_them_is_a_reason_and_no_machine(world):
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=PRICE))
    assert keep(world, 2) == []
    assert "budget" in standbys.find(world.db, "lab")[0].reason
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=2 * PRICE))
    standbys.follow(world.db, world.settings)
    assert standbys.find(world.db, "lab")[0].reason == ""
    assert len(kept(world)) == 2


def test_machines_that_end_again_and_again_are_not_replaced_for_ever(world):
    keep(world, 1)
    for _ in range(2 * standbys.MAX_DEATHS):
        for machine in kept(world):
            machines.gone(world.db, machine, None)
        standbys.follow(world.db, world.settings)
    assert kept(world) == []
    assert "again and again" in standbys.find(world.db, "lab")[0].reason


def test_a_warm_machine_builds_what_the_last_cluster_had_and_holds_no_keys(world):
    assert warm_up(world, keep(world, 1)[0]).environment is None
    world.cluster(n_workers=0)
    told = warm_up(world, keep(world, 3)[-1])
    assert told.environment_hash == world.environment_hash
    assert told.environment is not None
    assert (told.tls_key, told.owner_token, told.machine.cluster) == ("", "", "warm")


def test_a_cluster_takes_warm_machines_first_and_pays_nothing_twice(world):
    first, second = keep(world, 2)
    warm_up(world, first)
    assert standbys.find(world.db, "lab")[0].ready == 1
    before = budgets.get(world.db, "lab").reserved
    made = world.cluster(n_workers=1)
    assert made.machines[0].id == first.id
    assert [machine.status.value for machine in made.machines] == ["preparing", "requested"]
    now = budgets.get(world.db, "lab")
    assert now.reserved + now.spent == pytest.approx(before + PRICE, abs=2), (
        "what it lived as a warm one is charged, the rest goes on"
    )
    standbys.follow(world.db, world.settings)
    assert second.id in {machine.id for machine in kept(world)}
    assert len(kept(world)) == 2, "another takes its place"


def test_a_warm_machine_is_not_taken_where_it_would_cost_much_more_or_would_not_do(world):
    (large,) = keep(world, 1, "large")
    warm_up(world, large)
    assert large.id not in {machine.id for machine in world.cluster(n_workers=1).machines}
    made = world.cluster(n_workers=1, worker_memory=4 << 30)
    assert [machine.id == large.id for machine in made.machines] == [False, True]


def test_a_machine_that_was_taken_is_told_and_what_it_said_before_does_not_count(world):
    (warm,) = keep(world, 1)
    warm_up(world, warm)
    with pytest.raises(errors.Unavailable):
        joins.assignment(world.db, world.settings, warm.id)
    made = world.cluster(n_workers=0)
    wishes = beat(world, warm)
    assert wishes.taken
    (machine,) = clusters.get(world.db, "lab", made.id).machines
    assert (machine.status, machine.stages.environment_ready) == (MachineStatus.preparing, None)
    for _ in range(2):  # the first answer may be lost
        told = joins.assignment(world.db, world.settings, warm.id)
        assert (told.machine.role, told.machine.cluster, told.tls_key != "") == (MachineRole.scheduler, made.name, True)
    assert not beat(world, warm, "running").taken
    (machine,) = clusters.get(world.db, "lab", made.id).machines
    assert machine.status is MachineStatus.running
    assert locations.get(world.db, "lab", "local").boot_seconds is None, "it tells nothing of how long others take"


def test_one_that_was_taken_meanwhile_is_not_ended_with_those_that_were_not(world):
    first, second = keep(world, 2)
    warm_up(world, first)
    made = world.cluster(n_workers=0)
    with world.db.write() as tx:
        standby_rows.wish_stop(tx, [first, second], standbys.NO_LONGER)  # as they were seen before
        ends = [rows.find(tx, one.id).target.value for one in (first, second)]
    assert ends == ["running", "stopped"]
    assert clusters.get(world.db, "lab", made.id).machines[0].reason == ""


def test_the_bill_says_what_was_kept_warm_and_what_worked(world):
    (warm,) = keep(world, 1)
    warm_up(world, warm)

    def pass_half_a_minute(since):
        with world.db.write() as tx:
            rows.update(tx, warm.id, started_at=now() - since, lease_until=now() + HALF)

    pass_half_a_minute(HALF)
    beat(world, warm)
    made = world.cluster(n_workers=0)
    pass_half_a_minute(2 * HALF)
    beat(world, warm, "running")
    bill = costs.get(world.db, world.ada, Role.owner, "lab")
    assert [line.key for line in bill.by_cluster] == [made.name, "warm"]
    assert sum(line.amount for line in bill.by_cluster) == bill.amount
    assert [line.milliseconds for line in bill.by_cluster] == [pytest.approx(30_000, abs=5000)] * 2
    assert sum(line.milliseconds for line in bill.by_cluster) == pytest.approx(60_000, abs=5000)
    assert bill.reserved == sum(line.reserved for line in bill.by_cluster)


def test_who_takes_a_warm_machine_takes_what_is_reserved_for_it_into_their_own_budgets(world):
    (machine,) = keep(world, 1)
    warm_up(world, machine)
    for name, kind, limit in (("ada", "user", 10**6), ("x", "tag", PRICE)):
        scope = NewScope(kind=kind, name="project=x" if kind == "tag" else name)
        budgets.create(world.db, world.ada, "lab", NewBudget(name=name, scope=scope, limit=limit))
    assert budgets.get(world.db, "lab", "ada").reserved == pytest.approx(PRICE, abs=50)
    spec = ClusterSpec(n_workers=0, tags={"project": "x"})
    request = ClusterRequest(environment_hash=world.environment_hash, spec=spec)
    clusters.create(world.db, world.settings, world.bo, "lab", request)
    assert kept(world) == [], "it was taken"
    found = [budgets.get(world.db, "lab", name).reserved for name in ("workspace", "ada", "x")]
    assert found == [
        pytest.approx(PRICE, abs=50),
        0,
        pytest.approx(PRICE, abs=50),
    ]  # a lease of a minute, some of it over


def test_a_warm_machine_is_not_taken_by_whose_budget_does_not_hold_it(world):
    (machine,) = keep(world, 1)
    warm_up(world, machine)
    scope = NewScope(kind="user", name="bo")
    budgets.create(world.db, world.ada, "lab", NewBudget(name="bo", scope=scope, limit=1))
    request = ClusterRequest(environment_hash=world.environment_hash, spec=ClusterSpec(n_workers=0))
    with pytest.raises(errors.BudgetExceeded, match="'bo'"):
        clusters.create(world.db, world.settings, world.bo, "lab", request)
    assert [one.id for one in kept(world)] == [machine.id]


def test_a_quote_is_refused_by_the_limit_as_the_launch_would_be_and_counts_what_is_warm_once(world):
    limits.put(world.db, world.ada, world.settings, "lab", LimitsRequest(machines=2))
    two, three = ClusterSpec(n_workers=1), ClusterSpec(n_workers=2)
    with pytest.raises(errors.TooLarge, match="0 of the 2 machines that it may have here, and 3 more were asked for"):
        clusters.quote(world.db, world.settings, world.ada, "lab", three)
    for machine in keep(world, 2):
        warm_up(world, machine)
    assert clusters.quote(world.db, world.settings, world.ada, "lab", two).machines == 2
    with pytest.raises(errors.TooLarge, match="2 of the 2 machines that it may have here, and 1 more were asked for"):
        clusters.quote(world.db, world.settings, world.ada, "lab", three)
    assert len(kept(world)) == 2
    assert len(world.cluster(n_workers=1).machines) == 2
