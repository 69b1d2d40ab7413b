"""What a grant gives and takes, on each database."""

from itertools import product

import pytest
from sqlalchemy import select

from amasia import errors
from amasia.database import grants as rows
from amasia.database import tables
from amasia.models.grants import AccountRequest, GroupRequest, Level
from amasia.models.permissions import Role
from amasia.models.repositories import RepositoryRequest
from amasia.models.users import Membership, Scope, TokenRequest
from amasia.services import access, events, grants, groups, repositories, service_accounts, users, workspaces


@pytest.fixture
def data(world):
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="data"))
    return repositories.get(world.db, "lab", "data")


@pytest.fixture
def nobody():
    return access.anonymous("192.0.2.1")


def allow(world, data, grantee, level):
    return grants.put(world.db, world.ada, data, grantee, Level(level))


def has(world, who):
    return grants.level(world.db, who, "lab", "data").value


def become(world, name, role):
    workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user=name, role=Role(role)))


@pytest.mark.parametrize(
    ("role", "level"),
    [("guest", "none"), ("viewer", "read"), ("member", "write"), ("admin", "admin"), ("owner", "admin")],
)
def test_without_grants_the_role_says_what_one_may(world, data, role, level):
    become(world, "bo", role)
    assert has(world, world.bo) == level
    assert has(world, world.eve) == "none"


def test_none_for_everyone_makes_it_private_but_for_its_grants_and_the_admins(world, data):
    allow(world, data, "everyone", "none")
    assert has(world, world.bo) == "none"
    assert has(world, world.ada) == "admin"
    assert grants.visible(world.db, world.bo, "lab") == []
    with pytest.raises(errors.NotFound, match="no repository lab/data that bo may see"):
        grants.require(world.db, world.bo, "lab", "data", Level.read, "repository.read")
    allow(world, data, "user:bo", "read")
    assert has(world, world.bo) == "read"
    assert [one.name for one in grants.visible(world.db, world.bo, "lab")] == ["data"]


def test_the_more_particular_grant_counts_and_the_highest_of_several_groups(world, data):
    for name, level in (("low", "none"), ("high", "write")):
        groups.create(world.db, world.ada, "lab", GroupRequest(name=name))
        groups.add(world.db, world.ada, "lab", name, "bo")
        allow(world, data, f"group:{name}", level)
    allow(world, data, "everyone", "admin")
    assert has(world, world.bo) == "write"
    allow(world, data, "user:bo", "none")
    assert has(world, world.bo) == "none"
    grants.remove(world.db, world.ada, data, "user:bo")
    groups.remove(world.db, world.ada, "lab", "high", "bo")
    assert has(world, world.bo) == "none"
    groups.delete(world.db, world.ada, "lab", "low")
    assert has(world, world.bo) == "admin"


def test_what_is_public_is_read_without_an_account_where_a_route_says_so_and_never_written(world, data, nobody):
    with pytest.raises(errors.NotSignedIn):
        grants.require(world.db, nobody, "lab", "data", Level.read, "repository.read", public=True)
    allow(world, data, "public", "read")
    for who in (nobody, world.eve):
        assert grants.require(world.db, who, "lab", "data", Level.read, "repository.read", public=True) == data
        assert [one.name for one in grants.visible(world.db, who, "lab")] == ["data"]
    with pytest.raises(errors.NotSignedIn):
        grants.require(world.db, nobody, "lab", "data", Level.read, "grant.list")
    with pytest.raises(errors.NotFound):
        grants.require(world.db, world.eve, "lab", "data", Level.read, "grant.list")
    with pytest.raises(errors.NotSignedIn):
        grants.require(world.db, nobody, "lab", "data", Level.write, "repository.write", public=True)
    with pytest.raises(errors.InvalidRequest, match="public"):
        allow(world, data, "public", "write")


def test_somebody_who_is_called_anonymous_is_not_nobody(world, data, nobody):
    with pytest.raises(errors.Conflict):
        service_accounts.create(world.db, world.ada, "lab", AccountRequest(name=nobody.user, role=Role.admin))


def test_a_token_does_no_more_than_its_scope(world, data):
    for scope, level in {"everything": "admin", "data": "write", "read": "read", "machine": "none"}.items():
        assert has(world, world.ada.model_copy(update={"scope": Scope(scope)})) == level
    elsewhere = world.ada.model_copy(update={"workspace": "other"})
    assert has(world, elsewhere) == "none"


def test_whoever_makes_a_repository_says_who_else_may(world):
    repositories.create(world.db, world.bo, "lab", RepositoryRequest(name="mine"))
    mine = grants.require(world.db, world.bo, "lab", "mine", Level.admin, "grant.set")
    grants.put(world.db, world.bo, mine, "everyone", Level.none)
    assert [(one.grantee, one.level.value) for one in grants.find(world.db, mine)] == [
        ("everyone", "none"),
        ("user:bo", "admin"),
    ]


def test_a_service_account_has_tokens_and_what_it_was_granted_and_nothing_else(world, data):
    service_accounts.create(world.db, world.ada, "lab", AccountRequest(name="nightly"))
    made = service_accounts.create_token(world.db, world.ada, "lab", "nightly", TokenRequest(days=1))
    who = access.principal(world.db, made.secret, "test")
    assert has(world, who) == "none"
    allow(world, data, "account:nightly", "write")
    assert has(world, who) == "write"
    assert service_accounts.every_token(world.db, "lab") == service_accounts.find_tokens(world.db, "lab", "nightly")
    assert service_accounts.every_token(world.db, "other") == []
    eve = Membership(workspace="other", user="nightly", role=Role.admin)
    with pytest.raises(errors.Conflict, match="another workspace"):
        workspaces.set_member(world.db, world.eve, Role.owner, eve)
    service_accounts.delete(world.db, world.ada, "lab", "nightly")
    with pytest.raises(errors.NotSignedIn):
        access.principal(world.db, made.secret, "test")
    assert grants.find(world.db, data) == []


def test_grants_end_with_the_membership_and_with_the_user(world, data):
    allow(world, data, "user:bo", "admin")
    groups.create(world.db, world.ada, "lab", GroupRequest(name="all"))
    groups.add(world.db, world.ada, "lab", "all", "bo")
    workspaces.remove_member(world.db, world.ada, Role.owner, "lab", "bo")
    assert (has(world, world.bo), groups.find(world.db, "lab")[0].members) == ("none", ())
    become(world, "bo", "guest")
    allow(world, data, "user:bo", "admin")
    users.remove(world.db, world.ada, "bo")
    assert grants.find(world.db, data) == []


@pytest.mark.parametrize("grantee", ["bo", "user:", "user:BO", "team:x", "user:eve", "group:none", "account:bo", ""])
def test_nothing_is_granted_to_nobody(world, data, grantee):
    with pytest.raises((errors.InvalidRequest, errors.NotFound)):
        allow(world, data, grantee, "read")
    assert grants.find(world.db, data) == []


def test_grants_and_denials_are_events(world, data):
    allow(world, data, "everyone", "none")
    with pytest.raises(errors.NotFound):
        grants.require(world.db, world.bo, "lab", "data", Level.read, "repository.read")
    denied, done = events.find(world.db, "lab", None)[:2]
    assert (denied.actor, denied.verb, denied.target, denied.outcome.value) == (
        "bo", "repository.read", "lab/data", "denied",
    )  # fmt: skip
    assert (done.actor, done.verb, done.detail) == ("ada", "grant.set", {"grantee": "everyone", "level": "none"})


def test_what_somebody_sees_at_once_is_what_they_may_read_one_by_one(world):
    """Of every mixture of grants, for every kind of caller."""
    groups.create(world.db, world.ada, "lab", GroupRequest(name="ocean"))
    groups.add(world.db, world.ada, "lab", "ocean", "bo")
    groups.create(world.db, world.eve, "other", GroupRequest(name="ocean"))  # of the same name, and another one
    levels = (None, "none", "read")
    mixtures = product(levels, levels, levels, (None, "read"))
    for number, wanted in enumerate(mixtures):
        repositories.create(world.db, world.ada, "lab", RepositoryRequest(name=f"mixed-{number}"))
        data = repositories.get(world.db, "lab", f"mixed-{number}")
        for grantee, level in zip(("user:bo", "group:ocean", "everyone", "public"), wanted, strict=True):
            if level is not None:
                allow(world, data, grantee, level)
    callers = [access.anonymous("192.0.2.1"), world.ada, world.eve, world.bo.model_copy(update={"workspace": "other"})]
    callers += [world.bo.model_copy(update={"scope": scope}) for scope in Scope if scope is not Scope.public]
    for role in Role:
        become(world, "bo", role)
        for who in callers:
            with world.db.read() as tx:
                every = tx.execute(select(tables.repositories.c.name, rows.rank_of(who, public=True).label("rank")))
                one_by_one = {row.name for row in every if row.rank >= Level.read.rank}
                at_once = set(tx.execute(select(tables.repositories.c.name).where(rows.visible(who))).scalars())
            assert at_once == one_by_one, (role, who)
