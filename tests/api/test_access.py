"""Every route, every kind of caller: who is let in is written here once, and a new route must join."""

import json
import re
from contextlib import suppress
from datetime import timedelta
from urllib.parse import urljoin

import pytest

from amasia import errors
from amasia.database import users as user_rows
from amasia.models.base import now
from amasia.models.clusters import ClusterRequest
from amasia.models.permissions import Role
from amasia.models.repositories import RepositoryRequest
from amasia.models.users import Membership, Scope, User
from amasia.services import access, clusters, events, repositories, workspaces
from tests.conftest import SECRETS

BODIES = {
    "POST /v1/sign-in": {"name": "ada", "password": "wrong password"},
    "POST /v1/device": {"label": "x"},
    "POST /v1/device/token": {"device_code": "no"},
    "POST /v1/invitations": {"name": "new"},
    "POST /v1/tokens": {"label": "x"},
    "POST /v1/users": {"name": "new", "password": "long enough"},
    "POST /v1/workspaces": {"name": "new"},
    "PUT /v1/workspaces/{workspace}/members/{user}": {"role": "viewer"},
    "PUT /v1/workspaces/{workspace}/policy": {"regions": ["here"]},
    "PUT /v1/workspaces/{workspace}/budget": {"limit": 1_000_000},
    "POST /v1/me/channels": {"kind": "webhook", "address": "https://hooks.example.org/amasia"},
    "POST /v1/workspaces/{workspace}/budgets": {"name": "fresh", "limit": 1_000_000},
    "PUT /v1/workspaces/{workspace}/budgets/{name}": {"limit": 1_000_000},
    "POST /v1/workspaces/{workspace}/buckets": {"name": "mine", "kind": "s3", "uri": "s3://mine"},
    "PUT /v1/workspaces/{workspace}/environments/{digest}": {"python": "3.13.0", "pylock": ""},
    "POST /v1/workspaces/{workspace}/repositories": {"name": "fresh"},
    "POST /v1/workspaces/{workspace}/repositories/{name}/credentials": {"mode": "read"},
    "PUT /v1/workspaces/{workspace}/repositories/{name}/publication": {"protocols": ["opendap"]},
    "POST /v1/workspaces/{workspace}/repositories/{name}/commits": {"message": "m"},
    "PUT /v1/workspaces/{workspace}/repositories/{name}/commits/{commit_id}": {"snapshot": "s"},
    "POST /v1/workspaces/{workspace}/views": {
        "name": "fresh",
        "source": "lab/a",
        "target": "lab/b",
        "along": "time",
        "kind": "general",
        "function": "Zm9v",
        "environment_hash": "0" * 64,
    },
    "PATCH /v1/workspaces/{workspace}/views/{name}": {"paused": True},
    "POST /v1/workspaces/{workspace}/views/{name}/claims": {},
    "POST /v1/workspaces/{workspace}/views/{name}/claims/{refresh_id}/renewal": {"secret": "x"},
    "PUT /v1/workspaces/{workspace}/views/{name}/claims/{refresh_id}": {"secret": "x"},
    "POST /v1/workspaces/{workspace}/repositories/{name}/arrivals": {"urls": ["s3://bucket/a.nc"]},
    "PUT /v1/workspaces/{workspace}/repositories/{name}/arrivals/{arrival_id}": {"outcome": "taken"},
    "PUT /v1/workspaces/{workspace}/repositories/{name}/grants/{grantee}": {"level": "read"},
    "POST /v1/workspaces/{workspace}/groups": {"name": "fresh"},
    "POST /v1/workspaces/{workspace}/accounts": {"name": "fresh"},
    "POST /v1/workspaces/{workspace}/accounts/{account}/tokens": {"label": "x"},
    "PUT /v1/me/password": {"old": "wrong password", "new": "long enough"},
    "PUT /v1/users/{user}/password": {"new": "long enough"},
    "POST /v1/workspaces/{workspace}/repositories/{name}/refs": {"kind": "tag", "verb": "create", "name": "v1"},
    "PUT /v1/workspaces/{workspace}/repositories/{name}/refs": {"kind": "tag", "verb": "create", "name": "v1"},
    "POST /v1/workspaces/{workspace}/repositories/{name}/turns": {"branch": "main"},
    "POST /v1/workspaces/{workspace}/repositories/{name}/cleanings": {"older_than": 60},
    "POST /v1/workspaces/{workspace}/locations": {"name": "lab", "provider": "ssh", "secrets": {"key": "x"}},
    "POST /v1/workspaces/{workspace}/clusters": {"environment_hash": "0" * 64},
    "POST /v1/workspaces/{workspace}/clusters/quotes": {"n_workers": 1},
    "PATCH /v1/workspaces/{workspace}/clusters/{name}": {"n_workers": 1},
    "POST /stac/search": {"limit": 1},
    "POST /v1/machines/join": {
        "machine_id": "ma-0",
        "join_token": "no",
        "agent_version": "0",
        "started_at": "2026-01-01T00:00:00Z",
    },
    "PUT /v1/workspaces/{workspace}/locations/{name}/standbys/{machine_type}": {"machines": 1},
    "POST /v1/machines/{machine_id}/heartbeat": {"at": "2026-01-01T00:00:00Z"},
}
"""A body that can be read, for every route that takes one."""


NAMES = {
    "workspace": "lab", "user": "bo", "name": "own", "digest": "0" * 64, "token_id": "tk-0", "commit_id": "co-0",
    "machine_id": "ma-0", "group": "no-group", "account": "no-account", "grantee": "everyone",
    "refresh_id": "rf-0", "collection": "lab:own", "item": "_root", "snapshot": "S0", "turn_id": "tu-0",
    "cleaning_id": "gc-0", "arrival_id": "1", "kit_name": "0", "file": "x", "machine_type": "small",
    "channel_id": "ch-0",
}  # fmt: skip
"""What stands in the place of each name in a path."""


def routes(api):
    """(method, path, route) of every route under /v1."""
    for included in api.router.routes:
        for route in getattr(getattr(included, "original_router", None), "routes", []):
            for method in route.methods:
                yield method, route.path if route.path.startswith("/stac") else f"/v1{route.path}", route


def decision(route) -> str:
    found = {d.call.decision for d in route.dependant.dependencies if hasattr(d.call, "decision")}
    assert len(found) == 1, f"{route.path} has {len(found)} decisions about who may: give it exactly one"
    return found.pop()


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


def allowed(caller: str, needed: str, method: str, path: str) -> bool:
    """Who should be let in, said a second time and in other words than the code's."""
    if needed == "anyone":
        return True
    if needed == "seen" and not path.endswith(("/repositories", "/publications")) and "{collection}" not in path:
        return True  # a search over all that one may see, which may be nothing
    if "publisher" in (caller, needed):
        return caller == needed
    if "{collection}" in path:
        return "read" in LEVELS[caller].split()
    if caller == "nobody" or needed in ("operator", "machine"):
        return False
    level, _, public = needed.partition(" ")
    if public:
        return level in LEVELS[caller].split()
    if needed == "seen":
        return caller not in ("nobody", "machine of owner", "stranger")
    if needed == "signed-in":
        return caller not in ("data of owner", "machine of owner") and (caller != "read-only owner" or method == "GET")
    if caller == "data of owner":
        if "/claims" in path or (method == "GET" and path.endswith("/views/{name}")):
            return needed in ("read", "write")
        return path.endswith("/repositories") and needed == "write"
    if caller == "machine of owner":
        return method == "GET" and ("/artifacts/" in path or "/environments/" in path)
    grants = {
        "stranger": "",
        "guest": "",
        "viewer": "read",
        "member": "read run write",
        "admin": "read run write manage",
        "owner": "read run write manage own",
        "read-only owner": "read",
    }
    return needed in grants[caller].split()


LEVELS = {
    "nobody": "",
    "stranger": "",
    "guest": "",
    "viewer": "read",
    "member": "read write",
    "admin": "read write admin",
    "owner": "read write admin",
    "read-only owner": "read",
    "data of owner": "read write",
    "machine of owner": "",
}
"""What each has on a repository where nothing was granted."""


def test_every_route_has_one_decision_and_lets_in_whom_it_says(api, as_, callers, world):
    clusters.create(
        world.db,
        world.settings,
        world.ada,
        "lab",
        ClusterRequest(name="own", environment_hash=world.environment_hash),
    )
    tried = 0
    for method, path, route in routes(api):
        needed = decision(route)
        place = path.format(**NAMES)
        for caller, token in callers.items():
            with suppress(errors.Conflict):  # it is there, unless the one before deleted it
                repositories.create(world.db, world.ada, "lab", RepositoryRequest(name="own"))
            answer = as_(token).request(method, place, json=BODIES.get(f"{method} {path}"))
            who = f"{caller}: {method} {place}: {answer.status_code} {answer.text[:120]}"
            assert answer.status_code != 500, who
            refused = answer.status_code in (401, 403) or (
                answer.status_code == 404
                and re.search("There is no (workspace|repository lab/own|collection)", answer.text)
            )
            wrong = ("Name or password is wrong.", "The old password is wrong.")
            by_rule = bool(refused) and answer.json()["message"] not in wrong
            if path in ("/v1/machines/join",) or "belongs to ada" in answer.text or "ada's alone" in answer.text:
                continue
            assert by_rule != allowed(caller, needed, method, path), who
            tried += 1
    assert tried > 300


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
