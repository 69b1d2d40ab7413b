"""The console shows each person what they may see, and no more."""

import pytest

from amasia.models.grants import Level
from amasia.models.permissions import Role
from amasia.models.repositories import RepositoryRequest
from amasia.models.users import Membership
from amasia.services import grants, repositories, workspaces


@pytest.fixture
def hidden(world):
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="sauce"))
    made = repositories.get(world.db, "lab", "sauce")
    grants.put(world.db, world.ada, made, "everyone", Level.none)
    return made


def test_a_page_of_what_is_not_yours_is_no_page(world, as_, hidden):
    bo = as_("bo")
    assert "sauce" not in bo.get("/lab/repositories").text
    assert bo.get("/lab/repositories/sauce").status_code == 404
    grants.put(world.db, world.ada, hidden, "user:bo", Level.read)
    assert "sauce" in bo.get("/lab/repositories").text
    assert bo.get("/lab/repositories/sauce").status_code == 200


def test_a_guest_sees_what_was_granted_and_no_other_page(world, as_, hidden):
    bo = as_("bo")
    guest = Membership(workspace="lab", user="bo", role=Role.guest)
    workspaces.set_member(world.db, world.ada, Role.owner, guest)
    grants.put(world.db, world.ada, hidden, "user:bo", Level.read)
    assert bo.get("/lab/repositories/sauce").status_code == 200
    assert bo.get("/lab/repositories").status_code == 200
    assert bo.get("/lab/costs").status_code == 403


def test_the_sign_in_page_says_to_wait(anybody, world):
    for _ in range(10):
        answer = anybody.post("/-/sign-in", data={"name": "bo", "password": "wrong"})
        assert answer.status_code == 401
    answer = anybody.post("/-/sign-in", data={"name": "bo", "password": "bo's password"})
    assert answer.status_code == 429
    assert "too many wrong passwords" in answer.text
