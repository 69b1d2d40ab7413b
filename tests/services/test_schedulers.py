"""What a scheduler asks for, and what it is told."""

from datetime import timedelta

import pytest

from amasia import errors
from amasia.database import machines as rows
from amasia.models.base import now
from amasia.models.budgets import BudgetRequest
from amasia.models.clusters import ScaleRequest
from amasia.models.machines import Heartbeat, ProcessReport, SchedulerReport
from amasia.models.permissions import Role
from amasia.services import budgets, clusters, costs, heartbeats, locations, machines
from tests.services.test_leases import joined

GIB = 1 << 30
HALF = timedelta(seconds=30)
BIG = {"n_workers": 2, "worker_memory": 4 * GIB}


def beat(world, machine, stages=None, **report):
    process = ProcessReport(status="running", address="tls://127.0.0.1:1")
    said = Heartbeat(at=now(), process=process, scheduler=SchedulerReport(**report), stages=stages or {})
    return heartbeats.hear(world.db, world.settings, machine.id, said)


def found(world, cluster):
    clusters.follow(world.db, world.settings, cluster.id)
    return clusters.get(world.db, "lab", cluster.id)


def kinds(cluster):
    return [(machine.group, machine.index, machine.machine_type) for machine in cluster.machines[1:]]


def test_each_worker_group_is_placed_by_itself_and_all_start_together(world):
    made = world.cluster(n_workers=1, worker_groups={"big": BIG})
    assert kinds(made) == [("", 0, "small"), ("big", 1, "large"), ("big", 2, "large")]
    assert (made.wanted_workers, made.wanted_groups) == (3, {"big": 2})
    assert kinds(found(world, made)) == kinds(made)


def test_a_group_that_no_machine_is_large_enough_for_is_refused_by_its_name(world):
    with pytest.raises(errors.TooLarge, match="Each worker of the group 'big' was asked with"):
        world.cluster(n_workers=1, worker_groups={"big": BIG | {"worker_memory": 64 * GIB}})
    assert clusters.find(world.db, "lab") == []


def test_a_group_is_scaled_by_its_name_and_the_others_stay(world):
    made = world.cluster(n_workers=1, worker_groups={"big": BIG})
    clusters.scale(world.db, world.ada, "lab", made.id, ScaleRequest(n_workers=3, worker_group="big"))
    assert [group for group, _, _ in kinds(found(world, made))] == ["", "big", "big", "big"]
    after = clusters.scale(world.db, world.ada, "lab", made.id, ScaleRequest(n_workers=0))
    assert (after.wanted_workers, after.wanted_groups, after.spec.n_workers) == (3, {"big": 3}, 0)
    running = [m.group for m in found(world, made).machines[1:] if m.target.value == "running"]
    assert running == ["big", "big", "big"]
    with pytest.raises(errors.NotFound, match=r"no worker group 'bog'.*It has: big"):
        clusters.scale(world.db, world.ada, "lab", made.id, ScaleRequest(n_workers=1, worker_group="bog"))


def test_a_lost_worker_is_replaced_by_one_of_its_group(world):
    made = world.cluster(n_workers=1, worker_groups={"big": BIG | {"n_workers": 1}})
    machines.gone(world.db, made.machines[2], None)
    assert kinds(found(world, made)) == [("", 0, "small"), ("big", 1, "large"), ("big", 2, "large")]


def test_the_bill_says_the_group(world):
    made = world.cluster(n_workers=0, worker_groups={"big": BIG | {"n_workers": 1}})
    for machine in made.machines:
        joined(world, machine)
        with world.db.write() as tx:
            rows.update(tx, machine.id, started_at=now() - HALF, lease_until=now() + HALF)
        beat(world, machine)
    bill = costs.get(world.db, world.ada, Role.owner, "lab")
    assert [line.key for line in bill.by_cluster] == [made.name, f"{made.name}/big"]
    assert sum(line.amount for line in bill.by_cluster) == bill.amount
    assert bill.by_cluster[1].amount > 4 * bill.by_cluster[0].amount > 0
    assert sum(line.reserved for line in bill.by_cluster) == bill.reserved


def test_each_group_follows_its_own_load_within_its_own_bounds(world):
    made = world.cluster(n_workers=1, worker_groups={"big": BIG | {"minimum": 0, "maximum": 3, "n_workers": 0}})
    scheduler = made.machines[0]
    joined(world, scheduler)
    scale = beat(world, scheduler, wanted_workers=9, wanted_groups={"big": 9, "unknown": 1}).scale
    assert scale["n_workers"] == 1
    assert scale["groups"]["big"] == {"minimum": 0, "maximum": 3, "gpus": 0, "threads": 1}
    assert found(world, made).wanted_groups == {"big": 3}
    assert len(found(world, made).machines) == 5


def test_a_load_grows_a_cluster_as_far_as_the_budget_holds_and_says_so(world):
    made = world.cluster(n_workers=0, minimum=0, maximum=8)
    joined(world, made.machines[0])
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=750 * 4))
    beat(world, made.machines[0], wanted_workers=8)
    for _ in range(3):
        after = found(world, made)
    assert len(after.machines) == 4
    assert len(after.notices) == 1
    assert "budget" in after.notices[0]


def test_the_scheduler_is_told_how_long_machines_take_here(world):
    made = world.cluster(n_workers=0, minimum=0, maximum=8)
    scheduler = made.machines[0]
    joined(world, scheduler)
    assert beat(world, scheduler).scale["boot_seconds"] == 0
    with world.db.write() as tx:
        stages = rows.find(tx, scheduler.id).stages
        rows.update(tx, scheduler.id, stages=stages.model_copy(update={"requested": now() - timedelta(seconds=40)}))
    told = beat(world, scheduler, stages={"process_up": now()}).scale["boot_seconds"]
    assert 40 <= told < 45
    assert beat(world, scheduler, stages={"process_up": now()}).scale["boot_seconds"] == told
    assert locations.get(world.db, "lab", "local").boot_seconds == told
