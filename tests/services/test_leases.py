from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amasia import errors
from amasia.database import machines as rows
from amasia.models.base import now
from amasia.models.budgets import BudgetRequest
from amasia.models.machines import Found, Heartbeat, Join, MachineStatus, ProcessReport
from amasia.models.money import cost
from amasia.models.permissions import Role
from amasia.models.users import Membership
from amasia.services import budgets, clusters, costs, heartbeats, joins, machines, workspaces
from amasia.settings import ServerSettings


def joined(world, machine, settings=None):
    settings = settings or world.settings
    boot = machines.begin(world.db, settings, machine)
    machines.accepted(world.db, machine, {})
    request = Join(machine_id=machine.id, join_token=boot.join_token, agent_version="0", started_at=now())
    return joins.join(world.db, settings, request)


def beat(world, machine_id, settings, at=None):
    report = ProcessReport(status="running", address="tls://127.0.0.1:1")
    return heartbeats.hear(world.db, settings, machine_id, Heartbeat(at=at or now(), process=report))


@given(price=st.integers(0, 10**9), cuts=st.lists(st.integers(0, 10**8), max_size=20))
def test_any_way_of_cutting_a_lifetime_into_charges_sums_to_the_same(price, cuts):
    total, charged = 0, 0
    for cut in cuts:
        total += cut
        charged += cost(price, total) - charged
    assert charged == cost(price, sum(cuts))


def test_a_heartbeat_charges_what_passed_and_pays_the_next_lease(world):
    machine = world.cluster(n_workers=0).machines[0]
    short = ServerSettings(home=world.settings.home, lease_seconds=60)
    assignment = joined(world, machine, short)
    start = assignment.machine.started_at
    with world.db.write() as tx:
        rows.update(tx, machine.id, started_at=start - timedelta(seconds=30), lease_until=start + timedelta(seconds=30))
    wishes = beat(world, machine.id, short)
    assert wishes.lease_until > start + timedelta(seconds=59)
    budget = budgets.get(world.db, "lab")
    charges = costs.charges(world.db, world.ada, Role.owner, "lab", 0)  # two where midnight was in between
    passed = sum(charge.milliseconds for charge in charges)
    assert passed >= 30_000
    assert budget.spent == sum(charge.amount for charge in charges) == cost(45_000, passed)
    assert budget.spent + budget.reserved == pytest.approx(cost(45_000, passed + 60_000), abs=1)


def test_a_lease_that_the_budget_does_not_hold_is_not_renewed_and_the_spend_stays_within_the_limit(world):
    machine = world.cluster(n_workers=0).machines[0]
    assignment = joined(world, machine)
    reserved = budgets.get(world.db, "lab").reserved
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=reserved))
    started = assignment.machine.started_at - timedelta(seconds=30)
    lease_until = started + timedelta(seconds=60)
    with world.db.write() as tx:
        rows.update(tx, machine.id, started_at=started, lease_until=lease_until)
    assert beat(world, machine.id, world.settings).lease_until == lease_until
    held = machines.alive(world.db)[0]
    machines.gone(world.db, held, Found(machine_id=machine.id, alive=False, stopped_at=lease_until))
    budget = budgets.get(world.db, "lab")
    assert budget.reserved == 0
    assert budget.spent == reserved


def test_charges_equal_the_lifetime_to_the_millisecond(world):
    machine = world.cluster(n_workers=0).machines[0]
    start = joined(world, machine).machine.started_at
    for seconds in (7, 19, 31):
        beat(world, machine.id, world.settings, at=start + timedelta(seconds=seconds))
    held = machines.alive(world.db)[0]
    end = start + timedelta(seconds=40, milliseconds=123)
    machines.gone(world.db, held, Found(machine_id=machine.id, alive=False, stopped_at=end))
    charges = costs.charges(world.db, world.ada, Role.owner, "lab", 0)
    assert sum(charge.milliseconds for charge in charges) == 40_123
    assert sum(charge.amount for charge in charges) == cost(45_000, 40_123)
    assert budgets.get(world.db, "lab").reserved == 0
    assert budgets.get(world.db, "lab").spent == cost(45_000, 40_123)


def test_a_machine_that_outlived_its_lease_is_charged_no_more_than_was_reserved(world):
    machine = world.cluster(n_workers=0).machines[0]
    start = joined(world, machine).machine.started_at
    reserved = budgets.get(world.db, "lab").reserved
    held = machines.alive(world.db)[0]
    machines.gone(world.db, held, Found(machine_id=machine.id, alive=False, stopped_at=start + timedelta(hours=5)))
    assert budgets.get(world.db, "lab").spent == reserved


def test_a_machine_whose_last_words_say_that_it_ended_before_its_last_heartbeat_is_charged_up_to_that(world):
    machine = world.cluster(n_workers=0).machines[0]
    start = joined(world, machine).machine.started_at - timedelta(seconds=60)
    with world.db.write() as tx:
        rows.update(tx, machine.id, started_at=start)
    beat(world, machine.id, world.settings)
    held = machines.alive(world.db)[0]
    early = Found(machine_id=machine.id, alive=False, stopped_at=start + timedelta(seconds=1))
    machines.gone(world.db, held, early)
    assert sum(charge.milliseconds for charge in costs.charges(world.db, world.ada, Role.owner, "lab", 0)) >= 60_000


def test_settling_twice_charges_once(world):
    machine = world.cluster(n_workers=0).machines[0]
    start = joined(world, machine).machine.started_at
    held = machines.alive(world.db)[0]
    found = Found(machine_id=machine.id, alive=False, stopped_at=start + timedelta(seconds=9))
    machines.gone(world.db, held, found)
    machines.gone(world.db, held, found)
    assert sum(charge.milliseconds for charge in costs.charges(world.db, world.ada, Role.owner, "lab", 0)) == 9_000
    assert machines.alive(world.db) == []


def test_a_machine_that_has_ended_is_not_begun_again_by_somebody_who_was_late(world):
    """Two control planes may hold the same wish; one of them is through with it before the other begins."""
    machine = world.cluster(n_workers=0).machines[0]
    boot = machines.begin(world.db, world.settings, machine)
    machines.accepted(world.db, machine, {})
    late = Join(machine_id=machine.id, join_token=boot.join_token, agent_version="0", started_at=now())
    joins.join(world.db, world.settings, late)
    held = machines.alive(world.db)[0]
    machines.gone(world.db, held, Found(machine_id=machine.id, alive=False))
    with world.db.read() as tx:
        ended = rows.accounts(tx)

    assert machines.begin(world.db, world.settings, machine) is None
    with pytest.raises(errors.PermissionDenied, match="it was ended"):
        joins.join(world.db, world.settings, late)
    assert joins.join_all(world.db, world.settings, [late]) == [None]
    machines.accepted(world.db, machine, {"machine_type": "small", "zone": "b"})
    machines.started(world.db, machine.model_copy(update={"started_at": None}),
                     Found(machine_id=machine.id, alive=True, started_at=now()))  # fmt: skip
    refusal = errors.NoCapacity("no room")
    machines.refused(world.db, world.settings, machine, refusal, final=True, limit=1)
    machines.expire(world.db, machine)
    machines.expect_join(world.db, machine, 60, "kernel panic")
    with world.db.read() as tx:
        assert rows.accounts(tx) == ended
    assert budgets.get(world.db, "lab").reserved == 0


def test_a_member_who_was_removed_keeps_no_machine_whatever_its_lease(world):
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="eve", role="owner"))
    cluster = world.cluster(n_workers=0)
    joined(world, cluster.machines[0])
    workspaces.remove_member(world.db, world.eve, Role.owner, "lab", "ada")
    clusters.follow(world.db, world.settings, cluster.id)
    found = clusters.get(world.db, "lab", cluster.id)
    assert found.reason == "ada is no longer a member of lab"
    assert {machine.target.value for machine in found.machines} == {"stopped"}


def test_a_member_who_may_only_look_keeps_no_machine_beyond_its_lease(world):
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="eve", role="owner"))
    cluster = world.cluster(n_workers=0)
    machine = cluster.machines[0]
    joined(world, machine)
    lower = Membership(workspace="lab", user="ada", role=Role.viewer)
    workspaces.set_member(world.db, world.eve, Role.owner, lower)
    with world.db.write() as tx:
        rows.update(tx, machine.id, lease_until=now() + timedelta(seconds=20))
    assert beat(world, machine.id, world.settings).target.value == "stopped"
    assert clusters.get(world.db, "lab", cluster.id).reason == "ada may no longer run anything in 'lab'"


def test_join_works_until_the_first_heartbeat_and_only_with_its_own_token(world):
    machine = world.cluster(n_workers=0).machines[0]
    boot = machines.begin(world.db, world.settings, machine)
    good = Join(machine_id=machine.id, join_token=boot.join_token, agent_version="0", started_at=now())
    with pytest.raises(errors.NotSignedIn):
        joins.join(world.db, world.settings, good.model_copy(update={"join_token": "0" * 64}))
    joins.join(world.db, world.settings, good)
    joins.join(world.db, world.settings, good)
    beat(world, machine.id, world.settings)
    with pytest.raises(errors.PermissionDenied):
        joins.join(world.db, world.settings, good)
    assert machines.alive(world.db)[0].status is MachineStatus.running


def test_a_worker_that_is_taken_back_is_told_replaced_and_let_go_of_by_the_scheduler(world):
    cluster = world.cluster(n_workers=1)
    for machine in cluster.machines:
        joined(world, machine)
    scheduler, worker = sorted(cluster.machines, key=lambda machine: machine.role)
    at = now() + timedelta(minutes=2)
    running = ProcessReport(status="running", address="tls://127.0.0.1:1")
    for _ in range(2):
        heartbeats.hear(world.db, world.settings, worker.id,
                           Heartbeat(at=now(), process=running, stages={"leaves": at}))  # fmt: skip
    clusters.follow(world.db, world.settings, cluster.id)
    clusters.follow(world.db, world.settings, cluster.id)
    seen = clusters.get(world.db, "lab", cluster.id)
    assert [one.index for one in seen.machines if one.role == "worker"] == [0, 1]
    assert len([notice for notice in seen.notices if f"{at:%H:%M:%S}" in notice]) == 1
    wishes = heartbeats.hear(world.db, world.settings, scheduler.id, Heartbeat(at=now(), process=running))
    assert wishes.scale["leaving"] == [worker.id]
