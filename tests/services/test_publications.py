import pytest

from amasia import errors
from amasia.database import events
from amasia.models.events import EventFilter
from amasia.models.publications import Protocol, PublicationRequest
from amasia.models.repositories import RepositoryRequest
from amasia.models.users import Scope, SignIn, TokenRequest
from amasia.services import access, publications, repositories, users

ALL = PublicationRequest(protocols=tuple(Protocol))


@pytest.fixture
def data(world):
    made = repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="data"))
    repositories.made(world.db, made)
    return made


@pytest.fixture
def publisher(world):
    return access.principal(world.db, publications.new_publisher(world.db).secret, "test")


def audit(world):
    with world.db.read() as tx:
        return [(one.actor, one.verb, one.target) for one in events.page(tx, "lab", EventFilter(), None, 10)]


def test_nothing_is_published_until_somebody_says_so(world, data, publisher):
    assert publications.find(world.db, world.bo, "lab") == []
    assert not publications.exist(world.db)
    with pytest.raises(errors.NotFound, match="No repository lab/data is published"):
        publications.lend(world.db, publisher, "lab", "data")


def test_turned_on_changed_and_off_each_with_its_event(world, data):
    publications.put(world.db, world.ada, "lab", "data", ALL)
    only = PublicationRequest(protocols=(Protocol.opendap, Protocol.opendap), public=True)
    publications.put(world.db, world.ada, "lab", "data", only)
    found = publications.get(world.db, "lab", "data")
    assert (found.full_name, found.protocols, found.public, found.by) == ("lab/data", (Protocol.opendap,), True, "ada")
    assert [one.repository for one in publications.find(world.db, world.bo, "lab")] == ["data"]
    publications.delete(world.db, world.ada, "lab", "data")
    with pytest.raises(errors.NotFound):
        publications.delete(world.db, world.ada, "lab", "data")
    assert audit(world)[:3] == [
        ("ada", "publication.delete", "lab/data"),
        ("ada", "publication.set", "lab/data"),
        ("ada", "publication.set", "lab/data"),
    ]


def test_addresses_are_those_of_the_protocols_that_are_on(world, data):
    publications.put(world.db, world.ada, "lab", "data", PublicationRequest(protocols=(Protocol.edr,)))
    found = publications.get(world.db, "lab", "data").at_base("https://maps.example.org/")
    assert found.addresses == {Protocol.edr: "https://maps.example.org/lab/data/edr"}


def test_what_is_not_there_cannot_be_published(world):
    with pytest.raises(errors.NotFound):
        publications.put(world.db, world.ada, "lab", "nowhere", ALL)


def test_lending_to_the_publisher_is_in_the_audit_trail(world, data, publisher):
    publications.put(world.db, world.ada, "lab", "data", ALL)
    assert publications.lend(world.db, publisher, "lab", "data").repository.id == data.id
    assert audit(world)[0] == ("publisher", "credentials.lend", "lab/data")


def test_a_deleted_repository_is_published_no_longer(world, data):
    publications.put(world.db, world.ada, "lab", "data", ALL)
    repositories.delete(world.db, world.ada, "lab", "data")
    assert not publications.exist(world.db)


def test_each_new_publisher_ends_the_one_before(world):
    first = publications.new_publisher(world.db).secret
    second = publications.new_publisher(world.db).secret
    assert access.principal(world.db, second, "").scope is Scope.publish
    with pytest.raises(errors.NotSignedIn):
        access.principal(world.db, first, "")


def test_the_publishers_account_cannot_sign_in(world, publisher):
    for password in ("", "nobody", "amasia.publisher"):
        with pytest.raises(errors.NotSignedIn):
            users.sign_in(world.db, SignIn(name=publications.PUBLISHER, password=password), "")


def test_only_operators_make_tokens_that_serve_what_is_published(world):
    assert users.create_token(world.db, world.ada, TokenRequest(scope=Scope.publish)).token.scope is Scope.publish
    with pytest.raises(errors.PermissionDenied):
        users.create_token(world.db, world.bo, TokenRequest(scope=Scope.publish))
