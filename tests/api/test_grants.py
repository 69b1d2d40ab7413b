"""Every route of one repository, every level: what a grant opens, and what stays closed."""

import pytest

from amasia.models.grants import Level
from amasia.models.repositories import LeaseRequest, RepositoryRequest
from amasia.models.users import Scope
from amasia.services import events, grants, repositories
from amasia.settings import ServerSettings
from tests.api.test_access import BODIES, NAMES, decision, routes
from tests.conftest import SECRETS

OF_ONE = "/v1/workspaces/{workspace}/repositories/{name}"


@pytest.fixture
def own(world):
    """A repository that nobody has a grant on, and that members other than admins do not see."""
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="own"))
    found = repositories.get(world.db, "lab", "own")
    repositories.made(world.db, found)
    grants.put(world.db, world.ada, found, "everyone", Level.none)
    return found


def let_in(api, client):
    """The routes of one repository that let a client in; those that delete come last."""
    found = set()
    for method, path, route in sorted(routes(api), key=lambda one: (one[0] == "DELETE", -len(one[1]))):
        if not path.startswith(OF_ONE):
            continue
        answer = client.request(method, path.format(**NAMES), json=BODIES.get(f"{method} {path}"))
        assert answer.status_code != 500, answer.text
        refused = answer.status_code in (401, 403) or "There is no repository lab/own" in answer.text
        if not refused:
            found.add((method, path.removeprefix(OF_ONE), decision(route)))
    return found


@pytest.mark.parametrize("level", ["none", "read", "write", "admin"])
def test_a_grant_opens_the_routes_of_its_level_and_no_others(api, as_, world, own, level):
    grants.put(world.db, world.ada, own, "user:bo", Level(level))
    found = let_in(api, as_(SECRETS["bo"]))
    opened = list(Level)[1 : Level(level).rank + 1]
    assert {needed.split()[0] for _, _, needed in found} == set(opened)
    everything = {decision(route).split()[0] for _, path, route in routes(api) if path.startswith(OF_ONE)}
    assert everything == {"read", "write", "admin"}, "each route of one repository asks for a level on it"


def test_a_commit_that_tells_half_a_character_is_refused_in_words(as_, own):
    path, said = "/v1/workspaces/lab/repositories/own/commits", '{"message": "m", "code_version": "\\ud800"}'
    answer = as_(SECRETS["ada"]).post(path, content=said, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["kind"]) == (422, "invalid-request")


@pytest.mark.parametrize("caller", ["", "eve"])
def test_what_is_public_is_open_only_on_routes_that_say_so(api, as_, world, own, caller):
    client = as_(SECRETS.get(caller, ""))
    assert let_in(api, client) == set()
    grants.put(world.db, world.ada, own, "public", Level.read)
    found = let_in(api, client)
    assert {(method, path) for method, path, _ in found} >= {("GET", ""), ("GET", "/commits"), ("POST", "/credentials")}
    assert {needed for _, _, needed in found} == {"read public"}
    assert {method for method, path, _ in found if path != "/credentials"} == {"GET"}
    write = client.post("/v1/workspaces/lab/repositories/own/credentials", json={"mode": "write"})
    assert write.status_code in (401, 404)


def test_a_list_shows_what_one_may_see_and_nothing_of_what_one_may_not(as_, world, own):
    where = "/v1/workspaces/lab/repositories"
    assert [one["name"] for one in as_(SECRETS["ada"]).get(where).json()["items"]] == ["own"]
    assert as_(SECRETS["bo"]).get(where).json()["items"] == []
    hidden, missing = (as_(SECRETS["bo"]).get(f"{where}/{name}") for name in ("own", "nowhere"))
    assert hidden.status_code == missing.status_code == 404
    assert hidden.text.replace("lab/own", "") == missing.text.replace("lab/nowhere", "")
    real, not_real = (as_("").get(f"/v1/workspaces/lab/repositories/{name}") for name in ("own", "nowhere"))
    assert real.text.replace("lab/own", "") == not_real.text.replace("lab/nowhere", "")


def test_lending_without_an_account_is_an_event_and_short(as_, world, own):
    grants.put(world.db, world.ada, own, "public", Level.read)
    answer = as_("").post("/v1/workspaces/lab/repositories/own/credentials", json={"seconds": 3600})
    assert answer.status_code == 200
    newest = events.find(world.db, "lab", None)[0]
    assert (newest.actor, newest.verb, newest.detail["mode"]) == ("anonymous", "credentials.lend", "read")
    settings = ServerSettings(public_credentials_seconds=900)
    stranger = world.eve.model_copy(update={"scope": Scope.public})
    assert repositories.life(settings, stranger, LeaseRequest(seconds=3600)) == 900
    assert repositories.life(settings, world.eve, LeaseRequest(seconds=1800)) == 1800


def test_who_asks_too_often_without_an_account_waits_and_others_do_not(api, as_, world, own):
    grants.put(world.db, world.ada, own, "public", Level.read)
    api.state.visits.per_minute = 5
    where = "/v1/workspaces/lab/repositories/own"
    answers = [as_("").get(where).status_code for _ in range(12)]
    assert answers[:5] == [200] * 5
    assert 429 in answers
    assert as_(SECRETS["ada"]).get(where).status_code == 200


def test_a_wrong_token_is_not_taken_for_none(as_, world, own):
    grants.put(world.db, world.ada, own, "public", Level.read)
    assert as_("ama_wrong").get("/v1/workspaces/lab/repositories/own").status_code == 401
