"""Launch and stop against providers that fail as their names say: nothing leaked, nothing started twice."""

import contextlib
import time
from datetime import timedelta

import pytest

from amasia.database import locations as location_rows
from amasia.database import machines as rows
from amasia.models.base import now
from amasia.models.clusters import ClusterRequest, ClusterSpec, ClusterStatus
from amasia.models.locations import Finding, Location, LocationStatus
from amasia.models.machines import MachineStatus, Stages
from amasia.models.permissions import Role
from amasia.reconcilers import clusters, machines
from amasia.reconcilers.fleets import Fleet
from amasia.services import budgets, costs, environments
from amasia.services import clusters as cluster_verbs
from amasia.services import locations as location_verbs
from amasia.testing import fakes
from tests.conftest import ENVIRONMENT


class Plane:
    """Reconcilers on one database and one provider; time passes when told."""

    def __init__(self, world, provider):
        self.world, self.provider = world, provider
        self.fleet = Fleet(world.db, world.settings.home / "locations", {provider.name: provider})
        location = Location(workspace="lab", name="local", provider=provider.name, offers=tuple(provider.offers()))
        with world.db.write() as tx:
            location_rows.put_location(tx, location)

    def turn(self, times=1):
        for _ in range(times):
            with contextlib.suppress(fakes.ControlPlaneKilled):
                clusters.reconcile(self.world.db, self.world.settings)
                machines.reconcile(self.world.db, self.world.settings, self.fleet)
                machines.watch(self.world.db, self.world.settings, self.fleet)
            self.pass_time()

    def pass_time(self):
        """Claims of a killed control plane, and the waits between tries, are over."""
        with self.world.db.write() as tx:
            for machine, _ in rows.accounts(tx):
                rows.update(tx, machine.id, claimed_until=None)

    def settle(self, cluster, turns=12):
        self.turn(turns)
        return cluster_verbs.get(self.world.db, "lab", cluster.id)

    def stop(self, cluster):
        cluster_verbs.stop(self.world.db, self.world.ada, "lab", cluster.id)
        return self.settle(cluster, 20)


TRANSIENT = [
    fakes.MemoryProvider,
    fakes.RefusesStart,
    fakes.LosesAnswerOfStart,
    fakes.KilledBeforeStart,
    fakes.KilledAfterStart,
    fakes.AppearsLate,
    fakes.FindFails,
    fakes.StopFails,
    fakes.EndsSlowly,
    fakes.Forgets,
]


@pytest.mark.parametrize("kind", TRANSIENT)
def test_every_machine_is_started_once_and_all_are_ended(world, kind):
    plane = Plane(world, kind())
    cluster = world.cluster(n_workers=2)
    found = plane.settle(cluster)
    assert plane.provider.alive() == {machine.id for machine in found.machines}
    assert len(found.machines) == 3
    ended = plane.stop(cluster)
    assert plane.provider.alive() == set()
    assert ended.status is ClusterStatus.stopped
    assert budgets.get(world.db, "lab").reserved == 0


@pytest.mark.parametrize("kind", TRANSIENT)
def test_what_is_charged_is_what_the_provider_saw(world, kind):
    plane = Plane(world, kind())
    plane.settle(world.cluster(n_workers=1))
    plane.stop(cluster_verbs.find(world.db, "lab")[0])
    charged: dict[str, int] = {}
    for charge in costs.charges(world.db, world.ada, Role.owner, "lab", 0):
        charged[charge.machine_id] = charged.get(charge.machine_id, 0) + charge.milliseconds
    for machine_id, entry in plane.provider.entries.items():
        lived = (entry.stopped_at - entry.started_at) / timedelta(milliseconds=1)
        assert charged.get(machine_id, 0) == pytest.approx(lived, abs=1000)


def test_a_size_that_can_never_be_had_ends_the_cluster_with_the_reason(world):
    plane = Plane(world, fakes.NeverHasThatSize())
    ended = plane.settle(world.cluster(n_workers=1), 6)
    assert ended.target.value == "stopped"
    assert "Ask for at most 8 GiB" in ended.reason
    assert budgets.get(world.db, "lab").reserved == 0


def test_a_machine_that_never_joins_is_ended_and_says_so(world):
    plane = Plane(world, fakes.NeverBoots())
    cluster = world.cluster(n_workers=0)
    plane.settle(cluster, 2)
    with world.db.write() as tx:
        long_ago = now() - timedelta(hours=1)
        rows.update(tx, cluster.machines[0].id, stages=Stages(requested=long_ago, accepted=long_ago))
        rows.update(tx, cluster.machines[0].id, started_at=long_ago)
    ended = plane.settle(cluster)
    assert ended.machines[0].status is MachineStatus.stopped
    assert "did not join within 60 s" in ended.machines[0].reason
    assert plane.provider.alive() == set()


def test_a_worker_that_ended_by_itself_is_told_and_replaced(world):
    plane = Plane(world, fakes.MemoryProvider())
    cluster = world.cluster(n_workers=1)
    found = plane.settle(cluster, 3)
    plane.provider.cut_power(found.machines[1].id, "its host went down")
    found = plane.settle(cluster, 4)
    assert [machine.status.value for machine in found.machines] == ["booting", "stopped", "booting"]
    assert "worker 0 ended: its host went down." in found.notices


def test_the_sweep_ends_what_no_record_wants_and_nothing_else(world):
    plane = Plane(world, fakes.MemoryProvider())
    cluster = world.cluster(n_workers=1)
    found = plane.settle(cluster, 3)
    stray = found.machines[0].model_copy(update={"id": "ma-nobody-knows-me"})
    boot = plane.provider.entries[found.machines[0].id].boot.model_copy(update={"machine_id": stray.id})
    plane.provider.start(stray, boot)
    machines.sweep(world.db, plane.fleet)
    assert plane.provider.alive() == {machine.id for machine in found.machines}


def test_stop_before_the_start_starts_nothing(world):
    plane = Plane(world, fakes.MemoryProvider())
    cluster = world.cluster(n_workers=2)
    assert plane.stop(cluster).status is ClusterStatus.stopped
    assert plane.provider.entries == {}


def test_a_machine_that_outlives_its_lease_is_ended_from_here(world):
    plane = Plane(world, fakes.NeverBoots())  # alive, and its agent says and does nothing
    found = plane.settle(world.cluster(n_workers=1), 3)
    frozen = found.machines[1]
    with world.db.write() as tx:
        rows.update(tx, frozen.id, lease_until=now() - timedelta(seconds=1))
    plane.turn(4)
    found = cluster_verbs.get(world.db, "lab", found.id)
    assert frozen.id not in plane.provider.alive()
    assert "its lease ended at" in next(machine for machine in found.machines if machine.id == frozen.id).reason
    assert found.machines[0].id in plane.provider.alive()


class LosesMarks(fakes.MemoryProvider):
    """Has something that was asked for here, and that no tag tells."""

    def strays(self):
        return [Finding(subject="i-1", what="it was asked for here, and has lost its tags", ok=False, cure="End it.")]


def test_what_lost_its_marks_is_a_finding_once_and_nothing_is_done_to_it(world):
    plane = Plane(world, LosesMarks())
    for _ in range(3):
        machines.sweep(world.db, plane.fleet)
    location = location_verbs.get(world.db, "lab", "local")
    assert [finding.subject for finding in location.findings] == ["i-1"]
    assert ("stop", "i-1") not in plane.provider.calls
    assert location.status is LocationStatus.ready


def test_what_waits_in_a_queue_is_not_overdue_and_its_lease_has_not_begun(world):
    plane = Plane(world, fakes.Queues())
    cluster = world.cluster(n_workers=0)
    plane.settle(cluster, 2)
    machine_id = cluster.machines[0].id
    with world.db.write() as tx:
        long_ago = now() - timedelta(hours=1)
        rows.update(tx, machine_id, stages=Stages(requested=long_ago, accepted=long_ago), lease_until=long_ago)
    waiting = plane.settle(cluster, 2)
    assert waiting.machines[0].status is MachineStatus.booting
    assert waiting.machines[0].lease_until > now()
    assert waiting.machines[0].started_at is None
    assert waiting.amount == 0
    assert "scheduler 0 waits. No node is free." in waiting.notices
    plane.provider.open()
    begun = plane.settle(cluster, 2)
    assert begun.machines[0].started_at is not None


def test_in_a_crowd_every_machine_is_looked_at_in_turn(world, monkeypatch):
    monkeypatch.setattr(machines, "SOME", 2)
    provider = fakes.MemoryProvider()
    plane = Plane(world, provider)
    plane.settle(world.cluster(n_workers=4))
    looked = []
    find = provider.find
    monkeypatch.setattr(provider, "find", lambda found=None: looked.append([one.id for one in found]) or find(found))
    watch = machines.Watch(world.db, world.settings, plane.fleet)
    for _ in range(4):
        watch.look()
    assert [len(ids) for ids in looked] == [2, 2, 1, 2]
    assert len({machine_id for ids in looked[:3] for machine_id in ids}) == 5


class Slow(fakes.MemoryProvider):
    """Takes its time for each start, as clouds do."""

    def start(self, machine, boot):
        time.sleep(0.05)
        return super().start(machine, boot)


def test_a_tenant_with_many_machines_delays_the_first_one_of_another_by_no_more_than_a_round(world):
    """One of 301 in a queue that takes 2 s and more to work off would wait for a second in the mean."""
    plane = Plane(world, Slow())
    with world.db.write() as tx:
        offers = tuple(plane.provider.offers())
        for workspace in ("lab", "other"):
            location = Location(workspace=workspace, name="local", provider="memory", offers=offers, max_machines=1000)
            location_rows.put_location(tx, location)
    world.cluster(n_workers=300)
    for _ in range(2):  # the flood is under way
        machines.reconcile(world.db, world.settings, plane.fleet)
    environments.put(world.db, world.eve, "other", world.environment_hash, ENVIRONMENT)
    request = ClusterRequest(environment_hash=world.environment_hash, spec=ClusterSpec(n_workers=0))
    mine = cluster_verbs.create(world.db, world.settings, world.eve, "other", request).machines[0].id
    machines.reconcile(world.db, world.settings, plane.fleet)
    assert mine in plane.provider.entries
    flood = len(plane.provider.entries) - 1
    assert 0 < flood < 200, "the flood was over, so that it could have delayed nobody"
    plane.fleet.hands.close()
