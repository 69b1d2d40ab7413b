"""Grants, groups, service accounts and the ends of accounts, as people say them, against a real API."""

import os
import subprocess
import sys

import pytest

from amasia import errors
from amasia.client import accounts, grants, groups, repositories, service_accounts, users, workspaces
from amasia.client.transport import Connection
from amasia.models.repositories import RepositoryRequest
from amasia.models.users import Principal, Scope
from amasia.services import repositories as repository_verbs
from tests.client.conftest import ControlPlane


@pytest.fixture
def data(control_plane: ControlPlane) -> str:
    who = Principal(user="ada", operator=True, scope=Scope.everything, token_id="")
    repository_verbs.create(control_plane.db, who, "demo", RepositoryRequest(name="data"))
    return "demo/data"


def test_a_private_repository_is_shared_with_one_person_and_with_a_group(control_plane, data) -> None:
    bo = control_plane.another("bo")
    workspaces.set_member("bo", "member")
    grants.put(data, "everyone", "none")
    assert list(bo.items("/v1/workspaces/demo/repositories", repositories.models.Repository)) == []
    groups.create("ocean")
    assert groups.add("ocean", "bo").members == ("bo",)
    made = grants.put(data, "group:ocean", "read")
    assert (made.repository, made.level, made.granted_by) == (data, "read", "ada")
    assert [one.grantee for one in grants.find(data, connection=bo)] == ["everyone", "group:ocean"]
    with pytest.raises(errors.PermissionDenied, match="needs the level 'admin', and bo has 'read'"):
        grants.put(data, "user:bo", "admin", connection=bo)
    groups.remove("ocean", "bo")
    with pytest.raises(errors.NotFound, match="no repository demo/data that bo may see"):
        grants.find(data, connection=bo)
    grants.remove(data, "everyone")
    assert [one.name for one in groups.find()] == ["ocean"]


@pytest.mark.parametrize(
    ("to", "level"), [("bo", "read"), ("user:nobody", "read"), ("public", "write"), ("x:y", "read")]
)
def test_what_cannot_be_granted_is_refused_in_words(control_plane, data, to, level) -> None:
    with pytest.raises((errors.InvalidRequest, errors.NotFound)) as caught:
        grants.put(data, to, level)
    assert caught.value.cure


def test_a_service_account_works_with_its_token_until_it_is_revoked(control_plane, data) -> None:
    service_accounts.create("nightly")
    made = service_accounts.create_token("nightly", scope="data", days=1)
    robot = Connection(control_plane.url, made.secret)
    with pytest.raises(errors.NotFound):
        robot.get("/v1/workspaces/demo/repositories/data", repositories.models.Repository)
    grants.put(data, "account:nightly", "read")
    assert robot.get("/v1/workspaces/demo/repositories/data", repositories.models.Repository).name == "data"
    with pytest.raises(errors.NotSignedIn):
        accounts.sign_in(control_plane.url, "nightly", "")
    assert [one.id for one in service_accounts.find_tokens("nightly")] == [made.token.id]
    service_accounts.revoke_token("nightly", made.token.id)
    with pytest.raises(errors.NotSignedIn):
        robot.get("/v1/workspaces/demo/repositories/data", repositories.models.Repository)
    assert "nightly" not in [one.name for one in users.find()]


def test_a_changed_password_ends_the_other_sessions(control_plane) -> None:
    old = control_plane.another("bo")
    current = Connection(control_plane.url, accounts.create_token("here", connection=old).secret)
    with pytest.raises(errors.PermissionDenied, match="old password"):
        users.change_password("not it at all", "a new password", connection=current)
    users.change_password("correct horse", "a new password", connection=current)
    assert accounts.get(connection=current).user.name == "bo"
    with pytest.raises(errors.NotSignedIn):
        accounts.get(connection=old)
    users.reset_password("bo", "yet another one")
    with pytest.raises(errors.NotSignedIn):
        accounts.get(connection=current)


def test_a_removed_user_has_nothing_from_then_on_and_leaves_the_name(control_plane) -> None:
    bo = control_plane.another("bo")
    workspaces.set_member("bo", "member")
    users.remove("bo")
    with pytest.raises(errors.NotSignedIn):
        accounts.get(connection=bo)
    assert [one.user for one in workspaces.members()] == ["ada"]
    with pytest.raises(errors.NotSignedIn):
        accounts.sign_in(control_plane.url, "bo", "correct horse")
    with pytest.raises(errors.Conflict):
        users.create("bo", "correct horse")
    with pytest.raises(errors.Conflict, match="themselves"):
        users.remove("ada")


def test_the_only_owner_of_a_workspace_is_not_removed(control_plane) -> None:
    bo = control_plane.another("bo", operator=True)
    workspaces.create("oceans", connection=bo)
    with pytest.raises(errors.Conflict, match="only owner of oceans"):
        users.remove("bo")


def test_whoever_is_wrong_too_often_waits_and_others_do_not(control_plane) -> None:
    control_plane.another("bo")
    for _ in range(10):
        with pytest.raises(errors.NotSignedIn):
            accounts.sign_in(control_plane.url, "ada", "wrong")
    with pytest.raises(errors.TooOften, match="too many wrong passwords"):
        accounts.sign_in(control_plane.url, "ada", control_plane.password)
    assert accounts.sign_in(control_plane.url, "bo", "correct horse").user.name == "bo"


def test_many_good_sign_ins_are_not_counted(control_plane) -> None:
    for _ in range(12):
        assert accounts.sign_in(control_plane.url, "ada", control_plane.password).user.name == "ada"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grant", "set", "demo/data", "--to", "everyone", "--level", "none"], '"level": "none"'),
        (["grant", "list", "demo/data"], "[]"),
        (["group", "create", "ocean"], '"name": "ocean"'),
        (["account", "create", "nightly"], '"role": "guest"'),
    ],
)
def test_the_command_line_says_the_same(control_plane, data, words, said) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "amasia.cli.main", *words, "--json"],
        env=os.environ.copy(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
