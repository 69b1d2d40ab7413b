"""What somebody loses with a workspace: everything there, and nothing elsewhere."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Barrier, BrokenBarrierError

import pytest

from amasia import errors
from amasia.database import clusters as rows
from amasia.models.clusters import ClusterRequest, ClusterSpec, ClusterStatus, ClusterTarget
from amasia.models.machines import MachineTarget
from amasia.models.permissions import Role
from amasia.models.users import Membership, Scope
from amasia.services import access, clusters, removals, users, workspaces
from amasia.services.access import TokenWish, issue_tokens


def start(world, who, **spec):
    request = ClusterRequest(environment_hash=world.environment_hash, spec=ClusterSpec.model_validate(spec))
    made = clusters.create(world.db, world.settings, who, "lab", request)
    with world.db.write() as tx:
        rows.update(tx, made.id, status=ClusterStatus.running)
    return made


def target(world, cluster):
    return clusters.get(world.db, "lab", cluster.id).target


def remove(world, name):
    workspaces.remove_member(world.db, world.ada, Role.owner, "lab", name)


def test_clusters_of_a_removed_member_end_and_those_of_others_go_on(world):
    theirs, mine = start(world, world.bo), start(world, world.ada)
    remove(world, "bo")
    assert target(world, theirs) is ClusterTarget.stopped
    assert target(world, mine) is ClusterTarget.running
    clusters.follow(world.db, world.settings, theirs.id)
    found = clusters.get(world.db, "lab", theirs.id)
    assert found.reason == "bo is no longer a member of lab"
    assert {machine.target for machine in found.machines} == {MachineTarget.stopped}


def test_a_shared_cluster_ends_where_the_removed_have_its_certificate(world):
    held, other = start(world, world.ada, shared=True), start(world, world.ada, shared=True)
    clusters.security(world.db, world.settings, world.bo, "lab", held.id)
    remove(world, "bo")
    assert target(world, held) is ClusterTarget.stopped
    assert target(world, other) is ClusterTarget.running


def test_tokens_of_the_workspace_end_and_ones_own_open_nothing_there(world):
    with world.db.write() as tx:
        wishes = [
            TokenWish("bo", "machine", Scope.machine, {"workspace": "lab", "machine_id": "ma-1"}),
            TokenWish("bo", "data", Scope.data, {"workspace": "lab", "machine_id": "ma-1"}),
        ]
        machine, data = issue_tokens(tx, wishes, timedelta(hours=1))
        elsewhere = access.issue_token(tx, "bo", "elsewhere", Scope.everything, timedelta(hours=1), workspace="other")
    remove(world, "bo")
    for made in (machine, data):
        with pytest.raises(errors.NotSignedIn):
            access.principal(world.db, made.secret, "")
    assert access.principal(world.db, elsewhere.secret, "").user == "bo"
    with pytest.raises(errors.NotFound):
        access.require_member(world.db, world.bo, "lab", "test")


def test_an_account_that_ends_loses_all_its_workspaces(world):
    there = Membership(workspace="other", user="bo", role=Role.member)
    workspaces.set_member(world.db, world.eve, Role.owner, there)
    cluster = start(world, world.bo)
    users.remove(world.db, world.ada, "bo")
    assert target(world, cluster) is ClusterTarget.stopped
    assert {(one.workspace, one.session) for one in removals.find(world.db)} == {("lab", "bo"), ("other", "bo")}


def end_account(world, who, name):
    users.remove(world.db, who, name)


def remove_from_lab(world, who, name):
    workspaces.remove_member(world.db, who, Role.owner, "lab", name)


@pytest.mark.parametrize(
    "ways",
    [
        [(remove_from_lab, "ada", "bo"), (remove_from_lab, "bo", "ada")],
        [(remove_from_lab, "ada", "ada"), (remove_from_lab, "bo", "bo")],
        [(end_account, "ada", "bo"), (end_account, "bo", "ada")],
        [(end_account, "ada", "bo"), (remove_from_lab, "ada", "ada")],
    ],
    ids=["each-other", "themselves", "accounts", "one-account"],
)
def test_of_two_owners_who_go_at_once_one_stays(world, monkeypatch, ways):
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user="bo", role=Role.owner))
    both, leave = Barrier(2), removals.leave

    def late(*what):
        with suppress(BrokenBarrierError):
            both.wait(1)
        leave(*what)

    def go(way):
        do, who, other = way
        try:
            do(world, {"ada": world.ada, "bo": world.bo}[who], other)
        except errors.Conflict as error:
            return error.message
        return ""

    monkeypatch.setattr(removals, "leave", late)
    with ThreadPoolExecutor(2) as pool:
        done, refused = sorted(pool.map(go, ways))
    assert done == ""
    assert "owner" in refused
    assert [one.role for one in workspaces.members(world.db, "lab")] == [Role.owner]
