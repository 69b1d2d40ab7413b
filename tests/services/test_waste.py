"""What is spent for nothing: found where it is, not found where it is not, and its command saves it."""

from datetime import timedelta

import pytest

from amasia.database import machines as rows
from amasia.models.base import now
from amasia.models.machines import MachineRole, MachineStatus, Metrics
from amasia.models.permissions import Role
from amasia.models.waste import Kind
from amasia.services import storage, waste

PRICE = 20_000


def run(world, machine, role=None, **metrics):
    """As if it ran for an hour, and its agent had said this."""
    with world.db.write() as tx:
        rows.update(tx, machine.id, status=MachineStatus.running, started_at=now() - timedelta(hours=3),
                    metrics=Metrics(**metrics), **({"role": role, "cluster_id": None} if role else {}))  # fmt: skip


def found(world, who="ada", role=Role.owner):
    return waste.find(world.db, getattr(world, who), role, "lab", PRICE).items


BUSY = {"watched_seconds": 3600, "busy_seconds": 3000, "memory_peak": 900 << 20}


def test_a_cluster_that_works_is_no_waste(world):
    for machine in world.cluster(n_workers=3).machines:
        run(world, machine, **BUSY)
    assert found(world) == ()


def test_an_idle_cluster_is_said_with_all_that_it_costs(world):
    made = world.cluster(n_workers=2)
    for machine in made.machines:
        run(world, machine, idle_seconds=700 if machine.role is MachineRole.scheduler else 0, watched_seconds=3600)
    (one,) = found(world)
    assert (one.kind, one.subject, one.saving, one.owner) == (Kind.idle, made.name, 3 * 45_000, "ada")
    assert one.command == f"amasia cluster stop {made.name}"
    assert found(world, "bo", Role.member) == ()
    assert len(found(world, "bo", Role.admin)) == 1


@pytest.mark.parametrize(("busy", "enough"), [(0.19, 3), (0.05, 1), (0.2, None)])
def test_workers_that_have_little_to_do_are_too_many(world, busy, enough):
    made = world.cluster(n_workers=10)
    for machine in made.machines:
        run(world, machine, watched_seconds=3600, busy_seconds=3600 * busy, memory_peak=900 << 20)
    items = found(world)
    if enough is None:
        assert items == ()
        return
    assert [(one.kind, one.saving, one.command) for one in items] == [
        (Kind.workers, (10 - enough) * 45_000, f"amasia cluster scale {made.name} {enough}")
    ]


def test_what_was_watched_too_shortly_is_not_judged(world):
    for machine in world.cluster(n_workers=10).machines:
        run(world, machine, watched_seconds=599, busy_seconds=0)
    assert found(world) == ()


def test_memory_that_nobody_used_names_the_type_that_would_do(world):
    made = world.cluster(n_workers=2, worker_cpu=1, worker_memory=8 << 30)
    assert {one.machine_type for one in made.machines[1:]} == {"large"}
    with world.db.write() as tx:
        for machine in made.machines:
            rows.update(tx, machine.id, cpus=1.0)
    for machine in made.machines:
        run(world, machine, watched_seconds=3600, busy_seconds=3000, memory_peak=500 << 20)
    (one,) = found(world)
    assert (one.kind, one.saving) == (Kind.memory, 2 * (200_000 - 45_000))
    assert "a small would do" in one.text
    assert one.command == "amasia cluster start --workers 2 --memory '650 MiB'"


def test_what_is_kept_warm_for_nobody_is_said(world):
    machine = world.cluster(n_workers=0).machines[0]
    run(world, machine, role=MachineRole.warm)
    (one,) = found(world)
    assert (one.kind, one.command) == (Kind.warm, "amasia location warm local --type small --machines 0")


def test_objects_beyond_reach_are_said_per_month(lake):
    world = lake.world
    from amasia.services import repositories

    repository = repositories.get(world.db, "lab", "data")
    storage.measured(world.db, repository, PRICE, 10 << 30, 9, 4 << 30)
    (one,) = found(world)
    assert (one.kind, one.saving, one.per) == (Kind.storage, 6 * PRICE, "month")
    assert one.command == "amasia repo expire lab/data --older-than 30d"
