"""Many joins at once are the same as one by one, for those that may join."""

from amasia.models.base import now
from amasia.models.machines import Join
from amasia.models.users import Scope
from amasia.services import access, joins, machines


def booted(world, **spec):
    """(machine, its request) of a cluster whose machines were started."""
    found = []
    for machine in world.cluster(**spec).machines:
        boot = machines.begin(world.db, world.settings, machine)
        machines.accepted(world.db, machine, {})
        body = Join(machine_id=machine.id, join_token=boot.join_token, agent_version="0", started_at=now())
        found.append((machine, body))
    return found


def test_many_are_told_what_each_would_be_told_alone(world):
    found = booted(world, n_workers=3)
    together = joins.join_all(world.db, world.settings, [body for _, body in found])
    for (machine, body), told in zip(found, together, strict=True):
        assert told.machine.id == machine.id
        assert access.principal(world.db, told.token, "").machine_id == machine.id
        assert access.principal(world.db, told.owner_token, "").scope is Scope.data
        alone = joins.join(world.db, world.settings, body)
        told_alike = told.model_dump(exclude={"token", "owner_token", "machine"})
        assert alone.model_dump(exclude={"token", "owner_token", "machine"}) == told_alike
        assert alone.machine.status == told.machine.status == "preparing"
    assert len({told.token for told in together}) == 4


def test_who_may_not_join_is_left_out_and_the_others_are_let_in(world):
    found = booted(world, n_workers=2)
    (_, scheduler), (worker, forged), (_, other) = found
    forged = forged.model_copy(update={"join_token": "0" * 64})
    unknown = forged.model_copy(update={"machine_id": "ma-none"})
    told = joins.join_all(world.db, world.settings, [scheduler, forged, unknown, other])
    assert [one is not None for one in told] == [True, False, False, True]
    assert joins.join_all(world.db, world.settings, [found[1][1]])[0].machine.id == worker.id


def test_of_one_that_asks_twice_at_once_one_answer_holds(world):
    (_, body), _ = booted(world, n_workers=1)
    first, second = joins.join_all(world.db, world.settings, [body, body.model_copy()])
    assert (first is None) != (second is None)
    assert access.principal(world.db, (first or second).token, "").scope is Scope.machine
