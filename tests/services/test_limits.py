"""What a workspace may take is held in the transaction that takes it, and said with its cure."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from amasia import errors
from amasia.database import machines as rows
from amasia.models.base import now
from amasia.models.clusters import ScaleRequest
from amasia.models.limits import LimitsRequest
from amasia.models.machines import Heartbeat, MachineStatus
from amasia.models.permissions import Role
from amasia.models.repositories import RepositoryRequest
from amasia.models.secrets import SecretRequest
from amasia.models.standbys import StandbyRequest
from amasia.services import clusters, events, heartbeats, limits, machines, repositories, secrets, standbys


def allow(world, **limit):
    return limits.put(world.db, world.ada, world.settings, "lab", LimitsRequest(**limit))


def test_many_launches_at_once_never_pass_the_limit(world):
    allow(world, machines=9)
    together = Barrier(12)

    def launch(_):
        together.wait(30)
        try:
            return world.cluster(n_workers=1)
        except errors.TooLarge as error:
            return error

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(launch, range(24)))
    assert sum(isinstance(one, errors.TooLarge) for one in found) == 20
    assert limits.get(world.db, world.settings, "lab").machines == 8


def test_a_refusal_says_how_many_there_are_and_what_to_do(world):
    allow(world, machines=2)
    world.cluster(n_workers=1)
    with pytest.raises(errors.TooLarge, match="'lab' has 2 of the 2 machines that it may have here") as told:
        world.cluster(n_workers=2)
    assert "amasia limit set lab --machines 5" in told.value.cure
    assert len(clusters.find(world.db, "lab")) == 1


def test_a_cluster_that_is_to_grow_past_the_limit_says_so_and_has_what_it_had(world):
    made = world.cluster(n_workers=1)
    allow(world, machines=3)
    clusters.scale(world.db, world.ada, "lab", made.id, ScaleRequest(n_workers=3))
    clusters.follow(world.db, world.settings, made.id)
    found = clusters.get(world.db, "lab", made.id)
    assert len(found.machines) == 2
    assert "2 of the 3 machines" in found.notices[-1]
    clusters.scale(world.db, world.ada, "lab", made.id, ScaleRequest(n_workers=2))
    clusters.follow(world.db, world.settings, made.id)
    assert len(clusters.get(world.db, "lab", made.id).machines) == 3


def test_machines_that_are_kept_warm_count(world):
    allow(world, machines=1)
    standbys.put(world.db, world.ada, "lab", "local", "small", StandbyRequest(machines=2))
    standbys.follow(world.db, world.settings)
    assert "0 of the 1 machines" in standbys.find(world.db, "lab")[0].reason
    standbys.put(world.db, world.ada, "lab", "local", "small", StandbyRequest(machines=1))
    standbys.follow(world.db, world.settings)
    assert limits.get(world.db, world.settings, "lab").machines == 1


def test_no_more_are_started_at_a_time_and_the_next_when_one_is_of_use(world):
    allow(world, starting=2)
    made = world.cluster(n_workers=3)
    taken = machines.claim(world.db, world.settings, 30)
    assert len(taken) == 2
    begun = [machines.begin(world.db, world.settings, machine) for machine in made.machines]
    assert [boot is not None for boot in begun] == [True, True, False, False]
    found = limits.get(world.db, world.settings, "lab")
    assert (found.starting, found.waiting) == (2, 2)
    with world.db.write() as tx:
        for machine in made.machines:
            rows.update(tx, machine.id, claimed_until=None)
        rows.update(tx, made.machines[0].id, status=MachineStatus.running)
    waiting = {machine.id for machine in made.machines[2:]}
    assert len(waiting & {machine.id for machine in machines.claim(world.db, world.settings, 30)}) == 1
    assert machines.begin(world.db, world.settings, made.machines[2]) is not None
    assert machines.begin(world.db, world.settings, made.machines[3]) is None


def test_repositories_are_counted_when_one_is_made(world):
    most = allow(world, repositories=1).limits.repositories
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="a"), most=most)
    with pytest.raises(errors.TooLarge, match="1 of the 1 repositories"):
        repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="b"), most=most)


def test_secrets_are_counted_when_one_is_made_and_not_when_it_is_changed(world):
    most = allow(world, secrets=1).limits.secrets
    hidden = SecretRequest(value="correct horse")

    def put(who, name):
        return secrets.put(world.db, who, Role.member, "lab", name, hidden, most=most)

    put(world.ada, "A")
    put(world.ada, "A")
    for who, name in ((world.ada, "B"), (world.bo, "A")):
        with pytest.raises(errors.TooLarge, match="1 of the 1 secrets") as told:
            put(who, name)
        assert "amasia limit set lab --secrets 2" in told.value.cure
    assert limits.get(world.db, world.settings, "lab").secrets == 1


def test_of_a_log_so_much_is_kept_and_its_end_says_so(world):
    allow(world, log_bytes=10)
    made = world.cluster(n_workers=0)
    with world.db.write() as tx:
        until = now() + timedelta(hours=1)
        rows.update(tx, made.machines[0].id, status=MachineStatus.running, started_at=now(), lease_until=until)
    for text in ("12345678", "9äöü\n", "never seen"):
        heartbeats.hear(world.db, world.settings, made.machines[0].id, Heartbeat(at=now(), log=text))
    said = "".join(line.text for line in clusters.tail(world.db, "lab", made.id))
    assert said.startswith("123456789\n[10 bytes of this machine's log are kept")
    assert "never" not in said


def test_a_limit_is_an_operators_word_and_goes_back_to_everybodys(world):
    settings = world.settings.model_copy(update={"limit_machines": 7})
    made = limits.put(world.db, world.ada, settings, "lab", LimitsRequest(starting=3))
    assert (made.limits.machines, made.limits.starting, made.own) == (7, 3, ("starting",))
    assert {one.workspace: one.own for one in limits.find(world.db, settings)} == {"lab": ("starting",), "other": ()}
    assert limits.reset(world.db, world.ada, settings, "lab").own == ()
    said = [(one.verb, one.detail) for one in events.find(world.db, "lab", None)[:2]]
    assert said == [("limit.reset", {}), ("limit.set", {"starting": 3})]
    with pytest.raises(errors.NotFound, match="no workspace 'nowhere'"):
        limits.put(world.db, world.ada, settings, "nowhere", LimitsRequest(machines=1))
