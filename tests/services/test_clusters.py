from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from amasia import errors
from amasia.database import budgets as budget_rows
from amasia.database import clusters as cluster_rows
from amasia.database import machines as machine_rows
from amasia.models.base import now
from amasia.models.budgets import BudgetRequest, Charge
from amasia.models.clusters import ClusterStatus, ScaleRequest
from amasia.models.machines import MachineRole, MachineStatus
from amasia.services import budgets, clusters, machines


def test_a_list_continues_where_its_last_page_ended(world):
    made = [world.cluster(n_workers=1).id for _ in range(3)]
    first = clusters.find(world.db, "lab", limit=2)
    rest = clusters.find(world.db, "lab", limit=2, after=first[-1].id)
    assert sorted(made) == sorted(one.id for one in [*first, *rest])


def test_a_cluster_is_wished_with_its_machines_and_their_first_leases_at_once(world):
    made = world.cluster(n_workers=2)
    assert made.status is ClusterStatus.starting
    assert [machine.role for machine in made.machines] == [
        MachineRole.scheduler,
        MachineRole.worker,
        MachineRole.worker,
    ]
    assert {machine.status for machine in made.machines} == {MachineStatus.requested}
    # 3 machines at 0.045 per hour for 60 s
    assert budgets.get(world.db, "lab").reserved == 3 * 750


def test_a_worker_gets_the_cheapest_machine_that_is_large_enough(world):
    made = world.cluster(n_workers=1, worker_memory=2 << 30)
    assert [machine.machine_type for machine in made.machines] == ["small", "large"]


def test_more_memory_than_any_machine_has_is_refused_and_nothing_is_left(world):
    with pytest.raises(errors.TooLarge, match=r"64\.0 GiB.*largest, 'large', has 4 cpus and 8\.0 GiB"):
        world.cluster(n_workers=1, worker_memory=64 << 30)
    assert clusters.find(world.db, "lab") == []
    assert budgets.get(world.db, "lab").reserved == 0


def test_a_launch_that_the_budget_does_not_hold_is_refused_and_nothing_is_left(world):
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=3 * 750 - 1))
    with pytest.raises(errors.BudgetExceeded, match=r"needs 0\.0022 EUR"):
        world.cluster(n_workers=2)
    assert clusters.find(world.db, "lab") == []
    assert budgets.get(world.db, "lab").reserved == 0


def test_two_launches_never_pass_one_last_coin_together(world):
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=5 * 1500))

    def launch(_: int) -> bool:
        try:
            world.cluster(n_workers=1)
        except errors.BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(launch, range(16)))
    assert sum(done) == 5
    assert budgets.get(world.db, "lab").reserved == 5 * 1500


def test_a_name_belongs_to_one_live_cluster(world):
    made = world.cluster()
    request_again = {"name": made.name}
    with pytest.raises(errors.Conflict, match="already"):
        clusters.create(
            world.db,
            world.settings,
            world.ada,
            "lab",
            clusters.ClusterRequest(environment_hash=world.environment_hash, **request_again),
        )


@pytest.mark.parametrize(
    "size", [{}, {"maximum": 3}, {"n_workers": 0, "maximum": 3}, {"n_workers": 1, "minimum": 0, "maximum": 3}]
)
def test_a_size_is_a_number_or_both_ends_of_a_range_and_nothing_between(size):
    with pytest.raises(ValueError, match="give n_workers, or minimum and maximum"):
        ScaleRequest(**size)


def test_stop_is_final_and_may_be_repeated(world):
    made = world.cluster()
    clusters.stop(world.db, world.ada, "lab", made.id)
    again = clusters.stop(world.db, world.ada, "lab", made.id)
    assert again.target.value == "stopped"
    clusters.follow(world.db, world.settings, made.id)
    for machine in clusters.get(world.db, "lab", made.id).machines:
        machines.gone(world.db, machine, None)
    clusters.follow(world.db, world.settings, made.id)
    ended = clusters.get(world.db, "lab", made.id)
    assert ended.status is ClusterStatus.stopped
    assert ended.reason == "ada stopped it"
    assert budgets.get(world.db, "lab").reserved == 0
    assert budgets.get(world.db, "lab").spent == 0


def test_a_fixed_cluster_grows_by_wishes_and_shrinks_from_what_is_not_running_yet(world):
    made = world.cluster(n_workers=1)
    clusters.scale(world.db, world.ada, "lab", made.id, ScaleRequest(n_workers=3))
    clusters.follow(world.db, world.settings, made.id)
    grown = clusters.get(world.db, "lab", made.id)
    assert [machine.index for machine in grown.machines if machine.role is MachineRole.worker] == [0, 1, 2]
    clusters.scale(world.db, world.ada, "lab", made.id, ScaleRequest(n_workers=1))
    clusters.follow(world.db, world.settings, made.id)
    targets = [m.target.value for m in clusters.get(world.db, "lab", made.id).machines if m.role is MachineRole.worker]
    assert targets == ["running", "stopped", "stopped"]


def test_growth_that_the_budget_does_not_hold_is_a_notice_and_not_a_crash(world):
    made = world.cluster(n_workers=1)
    budgets.set_limit(world.db, world.ada, "lab", BudgetRequest(limit=0, confirmed=True))
    clusters.scale(world.db, world.ada, "lab", made.id, ScaleRequest(n_workers=3))
    for _ in range(3):
        clusters.follow(world.db, world.settings, made.id)
    found = clusters.get(world.db, "lab", made.id)
    assert len(found.machines) == 2
    assert len(found.notices) == 1
    assert "budget" in found.notices[0]


def test_a_list_has_each_clusters_own_machines_money_and_last_notices(world):
    made = [world.cluster(n_workers=number) for number in (1, 2)]
    with world.db.write() as tx:
        for number in range(25):
            cluster_rows.add_notice(tx, made[1].id, f"notice {number}")
        cluster_rows.add_notice(tx, made[0].id, "alone")
        charged = Charge(id=0, workspace="lab", user="ada", cluster_id=made[1].id, machine_id="ma-0", day="2026-11-25",
                         machine_type="small", start=now(), end=now(), milliseconds=4000, amount=50)  # fmt: skip
        budget_rows.charge(tx, [charged, charged.model_copy(update={"group": "big"})])
    newest, oldest = clusters.find(world.db, "lab", owner="ada")
    assert (len(newest.machines), newest.amount, newest.milliseconds) == (3, 100, 8000)
    assert newest.notices == tuple(f"notice {number}" for number in range(5, 25))
    assert (len(oldest.machines), oldest.amount, oldest.notices) == (2, 0, ("alone",))
    assert newest == clusters.get(world.db, "lab", newest.id)
    assert clusters.find(world.db, "lab", owner="bo") == []


def test_a_cluster_whose_scheduler_ended_is_ended_with_its_reason(world):
    made = world.cluster(n_workers=1)
    machines.gone(world.db, made.machines[0], None)
    clusters.follow(world.db, world.settings, made.id)
    clusters.follow(world.db, world.settings, made.id)
    found = clusters.get(world.db, "lab", made.id)
    assert found.target.value == "stopped"
    assert "its scheduler ended" in found.reason


def test_a_lost_worker_is_replaced(world):
    made = world.cluster(n_workers=1)
    machines.gone(world.db, made.machines[1], None)
    clusters.follow(world.db, world.settings, made.id)
    workers = [m for m in clusters.get(world.db, "lab", made.id).machines if m.role is MachineRole.worker]
    assert [machine.status.value for machine in workers] == ["stopped", "requested"]


def test_only_the_owner_gets_the_certificate_unless_the_cluster_is_shared(world):
    own = world.cluster()
    with pytest.raises(errors.PermissionDenied, match="ada's alone"):
        clusters.security(world.db, world.settings, world.bo, "lab", own.id)


def test_the_version_changes_with_what_is_and_not_with_money(world):
    made = world.cluster(n_workers=1)
    assert clusters.get(world.db, "lab", made.id).version == made.version
    with world.db.write() as tx:
        machine_rows.update(tx, made.machines[0].id, last_heartbeat_at=now() + timedelta(seconds=1))
    assert clusters.get(world.db, "lab", made.id).version == made.version
    clusters.stop(world.db, world.ada, "lab", made.id)
    assert clusters.get(world.db, "lab", made.id).version != made.version
