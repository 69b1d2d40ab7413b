"""What was lent to whoever is removed."""

import pytest

from amasia import errors
from amasia.models.permissions import Role
from amasia.models.repositories import LeaseRequest, Mode, RepositoryRequest
from amasia.models.users import Membership
from amasia.reconcilers.revocations import Revocations
from amasia.services import removals, repositories, workspaces


class Store:
    def __init__(self):
        self.told = []
        self.down = False

    def refuse(self, revocations):
        if self.down:
            raise errors.StoreDown("it is down")
        self.told.append([(one.workspace, one.session) for one in revocations])


def lent(world, who):
    return repositories.lend(world.db, who, "lab", "data", LeaseRequest(mode=Mode.write)).session


@pytest.fixture
def data(world):
    made = repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="data"))
    repositories.made(world.db, made)


def test_the_store_is_told_once_at_the_start_and_then_whenever_somebody_goes(world, data):
    store = Store()
    loop = Revocations(world.db, store)
    loop.look()
    loop.look()
    assert store.told == [[]]
    name = lent(world, world.bo)
    workspaces.remove_member(world.db, world.ada, Role.owner, "lab", "bo")
    store.down = True
    with pytest.raises(errors.StoreDown):
        loop.look()
    store.down = False
    loop.look()
    assert store.told[1:] == [[("lab", name)]]


def test_whoever_comes_back_borrows_under_another_name(world, data):
    old = lent(world, world.bo)
    workspaces.remove_member(world.db, world.ada, Role.owner, "lab", "bo")
    with pytest.raises(errors.PermissionDenied, match="may no longer write lab/data"):
        lent(world, world.bo)
    back = Membership(workspace="lab", user="bo", role=Role.member)
    workspaces.set_member(world.db, world.ada, Role.owner, back)
    again = lent(world, world.bo)
    assert again != old
    workspaces.remove_member(world.db, world.ada, Role.owner, "lab", "bo")
    assert {one.session for one in removals.find(world.db)} == {old, again}


def test_what_has_ended_by_itself_is_forgotten(world, data, monkeypatch):
    workspaces.remove_member(world.db, world.ada, Role.owner, "lab", "bo")
    assert len(removals.find(world.db)) == 1
    later = removals.now() + removals.LONGEST * 1.01
    monkeypatch.setattr(removals, "now", lambda: later)
    assert removals.find(world.db) == []
    monkeypatch.undo()
    assert removals.find(world.db) == []
