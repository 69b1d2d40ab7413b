"""Every route, every kind of caller: who is let in is written here once, and a new route must join."""

import json
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest

from amasia.database import clusters as cluster_rows
from amasia.database import users as user_rows
from amasia.models.base import now
from amasia.models.events import EventFilter, Outcome
from amasia.models.permissions import Role
from amasia.models.repositories import RepositoryRequest
from amasia.models.users import Membership, Scope, User
from amasia.services import access, clusters, events, repositories, workspaces
from show import rights
from show.who_may import EXPECTED
from tests.conftest import SECRETS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def callers(world):
    """Tokens: each role of lab, a stranger, nobody, and tokens of narrow scope that the owner holds."""
    tokens = {"nobody": "", "stranger": secret_of(world, "eve", Scope.everything)}
    for role in Role:
        person(world.db, role.value)
        workspaces.set_member(world.db, world.ada, Role.owner, Membership(workspace="lab", user=role.value, role=role))
        tokens[role.value] = secret_of(world, role.value, Scope.everything)
    tokens["read-only owner"] = secret_of(world, "owner", Scope.read)
    tokens["data of owner"] = secret_of(world, "owner", Scope.data, workspace="lab", machine_id="ma-other")
    tokens["machine of owner"] = secret_of(world, "owner", Scope.machine, workspace="lab", machine_id="ma-other")
    tokens["publisher"] = secret_of(world, "owner", Scope.publish)
    return tokens


def person(db, name):
    user = User(id=f"us-{name}", name=name, subject=name, operator=False, created_at=now())
    with db.write() as tx:
        user_rows.add_user(tx, user, "")


def secret_of(world, user, scope, **bound):
    with world.db.write() as tx:
        return access.issue_token(tx, user, "test", scope, timedelta(hours=1), **bound).secret


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_every_route_lets_in_whom_it_says_and_shows_nobody_what_they_must_not_know(db, settings):
    """In the other workspace asked by few; ``make show-money`` asks for all of them, and on PostgreSQL too."""
    report = rights.judge(db, settings, foreign=["owner", "operator who is no member", "nobody"])
    assert report.silent == [], "say in show/who_may.py who may"
    assert (report.leaks, report.shut_out, report.bugs) == ([], [], [])
    assert report.shown == set(rights.KINDS)
    assert report.asked > 1500


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("hole", "route"),
    [
        ("access.may", "GET .*/budgets$"),
        ("access.may", "PUT .*/policy$"),
        ("grants.require", "GET .*/repositories/{name}/commits$"),
    ],
)
def test_a_hole_is_found(db, settings, monkeypatch, hole, route):
    def let_in(db, who, workspace, name, *_, **__):
        return repositories.get(db, workspace, name)

    monkeypatch.setattr(f"amasia.services.{hole}", let_in if hole.startswith("grants") else lambda *_: True)
    assert rights.judge(db, settings, only=route).leaks != []


def test_what_is_expected_is_of_routes_that_there_are(api):
    assert set(EXPECTED) == {f"{method} {path}" for method, path in rights.routes(api)}


def test_a_token_is_what_the_docs_tell_scanners_of_secrets(as_):
    (pattern,) = re.findall(r"`(ama_\[[^`]+)`", (ROOT / "docs" / "how-to" / "share-with-colleagues.md").read_text())
    made = as_(SECRETS["ada"]).post("/v1/tokens", json={"label": "x"}).json()
    assert re.fullmatch(pattern, made["secret"])
    assert made["secret"].startswith(made["token"]["prefix"])
    assert made["secret"] not in as_(SECRETS["ada"]).get("/v1/tokens").text


def test_a_token_of_one_workspace_makes_none_that_is_good_for_more(as_, world):
    with world.db.write() as tx:
        bound = access.issue_token(tx, "ada", "x", Scope.everything, timedelta(hours=1), workspace="other").secret
    made = as_(bound).post("/v1/tokens", json={"label": "more"}).json()["secret"]
    assert as_(made).get("/v1/workspaces/lab/budget").status_code == 404


def test_a_stranger_is_not_even_told_that_a_workspace_exists(as_):
    real = as_(SECRETS["eve"]).get("/v1/workspaces/lab/clusters")
    unreal = as_(SECRETS["eve"]).get("/v1/workspaces/nowhere/clusters")
    assert real.status_code == unreal.status_code == 404
    assert real.text.replace("lab", "nowhere") == unreal.text


def test_an_expired_token_says_so_and_how_to_get_another(as_, world):
    with world.db.write() as tx:
        old = access.issue_token(tx, "ada", "old", Scope.everything, timedelta(seconds=-1)).secret
    answer = as_(old).get("/v1/me")
    assert answer.status_code == 401
    assert answer.json()["kind"] == "token-expired"
    assert "amasia login" in answer.json()["cure"]


def test_a_denial_is_an_event(as_, world):
    assert as_(SECRETS["bo"]).put("/v1/workspaces/lab/budget", json={"limit": 10**12}).status_code == 403
    events = as_(SECRETS["ada"]).get("/v1/workspaces/lab/events").json()["items"]
    assert (events[0]["actor"], events[0]["verb"], events[0]["outcome"]) == ("bo", "budget.set", "denied")


def test_lending_credentials_is_an_event_and_writing_needs_the_right(as_, world, callers):
    repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="data"))
    repositories.made(world.db, repositories.get(world.db, "lab", "data"))
    path = "/v1/workspaces/lab/repositories/data/credentials"
    assert as_(callers["viewer"]).post(path, json={"mode": "write"}).status_code == 403
    assert as_(callers["viewer"]).post(path, json={"mode": "read"}).status_code == 200
    newest = as_(SECRETS["ada"]).get("/v1/workspaces/lab/events").json()["items"][0]
    assert (newest["actor"], newest["verb"], newest["detail"]) == ("viewer", "credentials.lend", {"mode": "read"})


def test_a_bug_tells_an_id_and_nothing_else(api, as_):
    api.state.health = None
    answer = as_("").get("/v1/health")
    assert answer.status_code == 500
    assert set(answer.json()) == {"kind", "message", "cure", "detail"}
    assert "NoneType" not in answer.text


def test_a_body_that_cannot_be_read_names_the_field(as_):
    body = {"environment_hash": "0" * 64, "spec": {"n_workers": -1}}
    answer = as_(SECRETS["ada"]).post("/v1/workspaces/lab/clusters", json=body)
    assert answer.status_code == 422
    assert "spec.n_workers" in answer.json()["message"]


@pytest.mark.parametrize("length", [True, False])
def test_a_body_that_is_too_long_is_refused_before_anything_is_asked(as_, length):
    read = 0

    def body():
        nonlocal read
        for _ in range(64):
            read += 1 << 20
            yield b" " * (1 << 20)

    headers = {"Content-Length": str(64 << 20)} if length else {}
    answer = as_("").post("/v1/sign-in", content=body(), headers=headers | {"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["kind"] == "invalid-request"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "charges?after=99999999999999999999", None),
        ("GET", "events?after=99999999999999999999", None),
        ("PUT", "budget", {"limit": 10**30}),
        ("PUT", "members/NO%20NAME", {"role": "viewer"}),
        ("PUT", "locations/local/standbys/NO%20NAME", {"machines": 1}),
        ("POST", "/v1/tokens", {"label": "half a character: \ud800"}),
        ("GET", "/stac/search?q=" + "a" * 501, None),
        ("POST", "/stac/search", {"collections": ["lab.own"] * 1001}),
        ("POST", "/stac/search", {"ids": ["a"] * 1001, "collections": ["lab.own"]}),
    ],
)
def test_what_no_database_holds_is_refused_in_words(as_, callers, method, path, body):
    sent, kind = json.dumps(body), {"Content-Type": "application/json"}  # as ASCII, with escapes
    path = urljoin("/v1/workspaces/lab/", path)
    answer = as_(callers["owner"]).request(method, path, content=sent, headers=kind)
    assert (answer.status_code, answer.json()["kind"]) == (422, "invalid-request")


def test_a_policy_that_says_nothing_changes_nothing(as_, callers, world):
    before = events.find(world.db, "lab", None)
    answer = as_(callers["owner"]).put("/v1/workspaces/lab/policy", json={})
    assert (answer.status_code, answer.json()["name"]) == (200, "lab")
    assert events.find(world.db, "lab", None) == before


@pytest.mark.parametrize(
    ("caller", "method", "path", "verb"),
    [
        ("data of owner", "GET", "/v1/tokens", "account.use"),
        ("read-only owner", "POST", "/v1/tokens", "account.use"),
        ("machine of owner", "POST", "/v1/machines/ma-0/assignment", "machine.speak"),
        ("owner", "POST", "/v1/machines/ma-0/heartbeat", "machine.speak"),
        ("machine of owner", "GET", "/v1/workspaces/lab/repositories", "repository.list"),
        ("admin", "PUT", "/v1/workspaces/lab/members/ada", "member.set"),
        ("viewer", "GET", "/v1/workspaces/lab/clusters/mine/security", "cluster.run"),
        ("owner", "GET", "/v1/workspaces/lab/clusters/mine/security", "cluster.connect"),
        ("publisher", "GET", "/v1/users", "user.list"),
    ],
)
def test_every_denial_is_an_event_on_personal_and_machine_routes_too(as_, callers, world, caller, method, path, verb):
    world.cluster(n_workers=0)
    with world.db.write() as tx:
        cluster_rows.update(tx, clusters.find(world.db, "lab")[0].id, name="mine")
    bodies = {"tokens": {"label": "x"}, "heartbeat": {"at": "2026-01-01T00:00:00Z"}, "ada": {"role": "viewer"}}
    body = bodies.get(path.rpartition("/")[2]) if method != "GET" else None
    assert as_(callers[caller]).request(method, path, json=body).status_code in (403, 404)
    wanted = EventFilter(verb=verb, outcome=Outcome.denied)
    found = [*events.find(world.db, "lab", None, 10, wanted), *events.find(world.db, None, None, 10, wanted)]
    assert len(found) == 1


def test_a_token_that_is_not_known_or_over_leaves_an_event_and_none_does_not(as_, world):
    with world.db.write() as tx:
        old = access.issue_token(tx, "ada", "old", Scope.everything, timedelta(seconds=-1)).secret
    for secret in ("ama_nobody's", old, ""):
        assert as_(secret).get("/v1/me").status_code == 401
    found = events.find(world.db, None, None, 10, EventFilter(verb="token.use"))
    assert [one.actor for one in found] == ["ada", "anonymous"]


def test_a_flood_of_denials_does_not_fill_the_trail_and_says_later_how_many_there_were(world, monkeypatch):
    for _ in range(access.DENIALS + 7):
        access.deny(world.db, world.bo, "lab", "thing.do", "x" * 5000)
    access.deny(world.db, world.eve, None, "thing.do", "y")
    wanted = EventFilter(verb="thing.do")
    assert len(events.find(world.db, "lab", None, 500, wanted)) == access.DENIALS
    assert len(events.find(world.db, "lab", None, 1, wanted)[0].target) == 200
    assert len(events.find(world.db, None, None, 500, wanted)) == 1
    later = now() + access.WHILE + timedelta(seconds=1)
    monkeypatch.setattr(access, "now", lambda: later)
    access.deny(world.db, world.bo, "lab", "thing.do", "again")
    assert events.find(world.db, "lab", None, 1, wanted)[0].detail == {"left_out": 7}


def test_a_flood_of_tokens_that_nobody_knows_does_not_write_to_the_database(as_, world, monkeypatch):
    for _ in range(access.OF_ADDRESS + 1):
        access.deny(world.db, access.anonymous("testclient"), None, "token.use", "x")
    with monkeypatch.context() as patch:
        at = now()
        patch.setattr(access, "now", lambda: at)
        patch.setattr(world.db, "write", lambda **_: pytest.fail("it wrote"))
        assert {as_("ama_nobody's").get("/v1/me").status_code for _ in range(20)} == {401}
    later = now() + access.WHILE + timedelta(seconds=1)
    monkeypatch.setattr(access, "now", lambda: later)
    access.deny(world.db, access.anonymous("testclient"), None, "token.use", "x")
    assert events.find(world.db, None, None, 1, EventFilter(verb="token.use"))[0].detail == {"left_out": 21}
