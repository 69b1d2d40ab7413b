"""Line 3: every route by every role, in the own and the other workspace, by real requests.

A leak is an answer that lets somebody in whom `show.who_may` does not, a refused request that changed a row, or any
answer with something in it that its reader must not know.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select

from amasia import errors
from amasia.api import app
from amasia.database import budgets as budget_rows
from amasia.database import events as event_rows
from amasia.database import users as user_rows
from amasia.database.engine import Database
from amasia.database.schema import metadata
from amasia.models.base import now
from amasia.models.budgets import Charge
from amasia.models.clusters import ClusterRequest
from amasia.models.environments import Environment
from amasia.models.grants import AccountRequest, GroupRequest
from amasia.models.locations import Offer
from amasia.models.permissions import Role
from amasia.models.repositories import CommitDone, CommitRequest, Lease, RepositoryRequest
from amasia.models.secrets import SecretRequest
from amasia.models.users import Membership, Principal, Scope, User
from amasia.models.workspaces import WorkspaceRequest
from amasia.services import (
    access,
    clusters,
    environments,
    groups,
    repositories,
    secrets,
    service_accounts,
    workspaces,
)
from amasia.settings import ServerSettings
from show import databases
from show.lines import Line
from show.who_may import CALLERS, EXPECTED, KNOWS
from tools import reference

OWN, OTHER = "mine", "theirs"
KINDS = ("data", "machines", "money", "people", "audit")
ENVIRONMENT = Environment(python="3.13.0", pylock="")
SCOPES = {
    "owner by a token of scope read": Scope.read,
    "owner by a task's token": Scope.data,
    "owner by a machine's token": Scope.machine,
    "publishing process": Scope.publish,
}

_BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/sign-in": {"name": "ada", "password": "wrong password"},
    "POST /v1/device": {"label": "x"},
    "POST /v1/device/token": {"device_code": "no"},
    "POST /v1/invitations": {"name": "new"},
    "POST /v1/tokens": {"label": "x"},
    "POST /v1/users": {"name": "new", "password": "long enough"},
    "POST /v1/workspaces": {"name": "new"},
    "PUT {lab}/members/{user}": {"role": "viewer"},
    "PUT {lab}/policy": {"regions": ["here"]},
    "PUT {lab}/budget": {"limit": 1_000_000},
    "POST /v1/me/channels": {"kind": "webhook", "address": "https://hooks.example.org/amasia"},
    "POST {lab}/budgets": {"name": "fresh", "limit": 1_000_000},
    "PUT {lab}/budgets/{name}": {"limit": 1_000_000},
    "PUT {lab}/costs/egress": {"currency": "EUR", "amounts": {"i-0abc": {"2026-11-25": 1}}},
    "POST {lab}/buckets": {"name": "mine", "kind": "s3", "uri": "s3://mine"},
    "PUT {lab}/environments/{digest}": {"python": "3.13.0", "pylock": ""},
    "POST {lab}/repositories": {"name": "fresh"},
    "POST {lab}/repositories/{name}/credentials": {"mode": "read"},
    "PUT {lab}/repositories/{name}/publication": {"protocols": ["opendap"]},
    "POST {lab}/repositories/{name}/commits": {"message": "m"},
    "PUT {lab}/repositories/{name}/commits/{commit_id}": {"snapshot": "s"},
    "POST {lab}/views": {
        "name": "fresh",
        "source": "lab/a",
        "target": "lab/b",
        "along": "time",
        "kind": "general",
        "function": "Zm9v",
        "environment_hash": "0" * 64,
    },
    "PATCH {lab}/views/{name}": {"paused": True},
    "POST {lab}/views/{name}/claims": {},
    "POST {lab}/views/{name}/claims/{refresh_id}/renewal": {"secret": "x"},
    "PUT {lab}/views/{name}/claims/{refresh_id}": {"secret": "x"},
    "POST {lab}/repositories/{name}/arrivals": {"urls": ["s3://bucket/a.nc"]},
    "PUT {lab}/repositories/{name}/arrivals/{arrival_id}": {"outcome": "taken"},
    "PUT {lab}/repositories/{name}/grants/{grantee}": {"level": "none"},
    "POST {lab}/groups": {"name": "fresh"},
    "POST {lab}/accounts": {"name": "fresh"},
    "POST {lab}/accounts/{account}/tokens": {"label": "x"},
    "PUT /v1/me/password": {"old": "wrong password", "new": "long enough"},
    "PUT /v1/users/{user}/password": {"new": "long enough"},
    "POST {lab}/repositories/{name}/refs": {"kind": "tag", "verb": "create", "name": "v1"},
    "PUT {lab}/repositories/{name}/refs": {"kind": "tag", "verb": "create", "name": "v1"},
    "POST {lab}/repositories/{name}/turns": {"branch": "main"},
    "POST {lab}/repositories/{name}/cleanings": {"older_than": 60},
    "PATCH {lab}/locations/{name}": {"max_machines": 9},
    "POST {lab}/locations": {"name": "lab", "provider": "ssh", "secrets": {"key": "x"}},
    "POST {lab}/clusters": {"environment_hash": "0" * 64},
    "POST {lab}/clusters/quotes": {"n_workers": 1},
    "PATCH {lab}/clusters/{name}": {"n_workers": 1},
    "PUT {lab}/secrets/{name}": {"value": "long enough"},
    "POST /stac/search": {"limit": 1},
    "POST /v1/machines/join": {
        "machine_id": "ma-0",
        "join_token": "no",
        "agent_version": "0",
        "started_at": "2026-01-01T00:00:00Z",
    },
    "PUT /v1/limits/{workspace}": {"log_bytes": 1_000_000},
    "PUT {lab}/locations/{name}/standbys/{machine_type}": {"machines": 1},
    "POST /v1/machines/{machine_id}/heartbeat": {"at": "2026-01-01T00:00:00Z"},
}
BODIES = {key.replace("{lab}", "/v1/workspaces/{workspace}"): body for key, body in _BODIES.items()}
"""A body that can be read, for every route that takes one."""

NAMES = {
    "user": "bo", "name": "own", "digest": ENVIRONMENT.hash, "token_id": "tk-0", "commit_id": "co-0",
    "machine_id": "ma-0", "group": "own-group", "grantee": "user:bo", "refresh_id": "rf-0", "item": "_root",
    "snapshot": "S0", "turn_id": "tu-0", "cleaning_id": "gc-0", "arrival_id": "1", "kit_name": "0", "file": "x",
    "machine_type": "small", "channel_id": "ch-0",
}  # fmt: skip
"""What stands in the place of each name in a path, beside workspace, collection and account."""


@dataclass
class Report:
    asked: int = 0
    routes: int = 0
    leaks: list[str] = field(default_factory=list)
    shut_out: list[str] = field(default_factory=list)
    """Who was not let in and should have been."""
    bugs: list[str] = field(default_factory=list)
    """Answers of 500."""
    silent: list[str] = field(default_factory=list)
    """Routes of which nobody said who may."""
    shown: set[str] = field(default_factory=set)
    """Kinds of words that the owner was shown: one that nobody is shown proves nothing."""


def routes(api: FastAPI) -> list[tuple[str, str]]:
    """(method, path), those that only look first: what the others change would hide what these show."""
    found = {(method, path) for method, path, _ in reference.routes(api)}
    return sorted(found, key=lambda one: (one[0] != "GET", one[1], one[0]))


def judge(
    db: Database, settings: ServerSettings, *, foreign: Iterable[str] = tuple(CALLERS.values()), only: str = ""
) -> Report:
    """Ask everything. ``foreign``: who asks for the other workspace, too; ``only``: routes that hold this pattern."""
    api = app.create(db, settings, lend=lend)
    tokens = build(db, settings)
    report = Report()
    with start_blocking_portal() as portal:
        clients = {name: client(api, token, portal) for name, token in tokens.items()}
        for method, path in routes(api):
            if not re.search(only, f"{method} {path}"):
                continue
            report.routes += 1
            expected = EXPECTED.get(f"{method} {path}")
            if expected is None:
                report.silent.append(f"{method} {path}")
                continue
            for workspace in (OWN, OTHER):
                if workspace == OTHER and not re.search(r"\{(workspace|collection)\}", path):
                    continue
                callers = tokens if workspace == OWN else {name: tokens[name] for name in foreign}
                _Trial(db, clients, method, path, workspace, expected, report).run(list(callers))
    return report


class _Trial:
    """One route of one workspace."""

    def __init__(
        self, db: Database, clients: dict[str, TestClient], method: str, path: str, workspace: str,
        expected: frozenset[str], report: Report,
    ) -> None:  # fmt: skip
        self.db, self.clients, self.method, self.path, self.report = db, clients, method, path, report
        self.workspace, self.expected = workspace, expected
        self.body = BODIES.get(f"{method} {path}")
        self.place = place(path, workspace)

    def run(self, callers: list[str]) -> None:
        """Those who must not first, and nothing may have changed after them."""
        before = _digest(self.db)
        for caller in [one for one in callers if not self.welcome(one)]:
            self.ask(caller, welcome=False)
        if _digest(self.db) != before:
            self.report.leaks.append(f"a refused {self.method} {self.place} changed the database")
        for caller in [one for one in callers if self.welcome(one)]:
            if self.method != "GET":
                with_repository(self.db, self.workspace)
            self.ask(caller, welcome=True)

    def welcome(self, caller: str) -> bool:
        everybody = len(self.expected) == len(CALLERS)
        of_none = caller in ("publishing process", "operator who is no member")  # both workspaces are one to them
        return caller in self.expected and (self.workspace == OWN or everybody or of_none)

    def ask(self, caller: str, *, welcome: bool) -> None:
        answer = self.clients[caller].request(self.method, self.place, json=self.body)
        self.report.asked += 1
        said = f"{caller}: {self.method} {self.place}: {answer.status_code} {answer.text[:100]!r}"
        if answer.status_code == 500:
            self.report.bugs.append(said)
        if shown := [one for one in forbidden(caller) if one in answer.text]:
            self.report.leaks.append(f"{said} shows {', '.join(shown)}")
        if caller == "owner":
            self.report.shown |= {kind for kind in KINDS if secret(OWN, kind) in answer.text}
        refused = self.refused(answer.status_code, answer.text)
        if not welcome and not refused:
            self.report.leaks.append(said)
        if welcome and refused and not _by_another_rule(answer.text, self.path):
            self.report.shut_out.append(said)

    def refused(self, status: int, text: str) -> bool:
        unknown = rf"There is no (workspace|repository {self.workspace}/own|collection)"
        return status in (401, 403) or (status == 404 and re.search(unknown, text) is not None)


def place(path: str, workspace: str) -> str:
    """A path with names in it."""
    of_workspace = {"workspace": workspace, "collection": f"{workspace}:own", "account": f"{workspace}-account"}
    return path.format(**NAMES, **of_workspace)


def _by_another_rule(text: str, path: str) -> bool:
    """Let in, and then refused for what it asked: a wrong password, or what belongs to somebody else."""
    others = ("Name or password is wrong", "The old password is wrong", "belongs to", "alone")
    return path == "/v1/machines/join" or any(one in text for one in others)


def forbidden(caller: str) -> list[str]:
    """What must not stand in any answer to somebody."""
    own = [secret(OWN, kind) for kind in KINDS if kind not in KNOWS.get(caller, ())]
    of_all = ("people",) if caller == "operator who is no member" else ()
    return [HIDDEN, *own] + [secret(OTHER, kind) for kind in KINDS if kind not in of_all]


HIDDEN = "hush-that-nobody-is-shown"
"""What a secret of each workspace holds."""


def secret(workspace: str, kind: str) -> str:
    return f"hush-{workspace}-{kind}"


def build(db: Database, settings: ServerSettings, *, operator: bool = False) -> dict[str, str]:
    """Two workspaces with something of everything; a token of each caller. ``operator``: the owner is one, too."""
    names = {role.value: person(db, role.value, operator=operator and role is Role.owner) for role in Role}
    for name in ("ada", "bo"):
        if not _there(db, name):
            person(db, name)
    rest = {"operator who is no member": person(db, "overseer", operator=True), "stranger": person(db, "stranger")}
    furnish(db, settings, OWN, names["owner"])
    furnish(db, settings, OTHER, person(db, "landlord"))
    for role in Role:
        if role is not Role.owner:
            _join(db, OWN, names["owner"], role.value, role)
    tokens = {name: _token(db, who.user) for name, who in {**names, **rest}.items()}
    bound = {"workspace": OWN, "machine_id": "ma-other"}
    for name, scope in SCOPES.items():
        tokens[name] = _token(db, "owner", scope, **(bound if scope in (Scope.data, Scope.machine) else {}))
    return {name: tokens.get(name, "") for name in CALLERS.values()}


def person(db: Database, name: str, *, operator: bool = False) -> Principal:
    user = User(id=f"us-{name}", name=name, subject=name, operator=operator, created_at=now())
    with db.write() as tx:
        user_rows.add_user(tx, user, "")
    return Principal(user=name, operator=operator, scope=Scope.everything, token_id="")


def furnish(db: Database, settings: ServerSettings, workspace: str, owner: Principal) -> None:
    """What there is in a workspace, each kind with a word in it that nobody else may read."""
    offers = [
        Offer(type=name, cpus=cpus, memory=cpus << 30, price=45_000 * cpus, price_source="test")
        for name, cpus in (("small", 1), (secret(workspace, "machines"), 512))
    ]
    workspaces.create(db, owner, WorkspaceRequest(name=workspace), limit=1_000_000, offers=offers)
    _join(db, workspace, owner, person(db, secret(workspace, "people")).user, Role.guest)
    _join(db, workspace, owner, "bo", Role.member)
    groups.create(db, owner, workspace, GroupRequest(name="own-group"))
    service_accounts.create(db, owner, workspace, AccountRequest(name=f"{workspace}-account"))
    environments.put(db, owner, workspace, ENVIRONMENT.hash, ENVIRONMENT)
    with_repository(db, workspace, owner)
    hidden = SecretRequest(value=HIDDEN, grantee="everyone")
    secrets.put(db, owner, Role.owner, workspace, "own", hidden)
    request = ClusterRequest(name="own", environment_hash=ENVIRONMENT.hash)
    cluster = clusters.create(db, settings, owner, workspace, request)
    charge = Charge(id=0, workspace=workspace, user=owner.user, cluster_id=cluster.id, machine_id="ma-0",
                    machine_type=secret(workspace, "money"), day=now().date().isoformat(), start=now(), end=now(),
                    milliseconds=1, amount=1)  # fmt: skip
    with db.write() as tx:
        budget_rows.charge(tx, [charge])
        event_rows.append(tx, actor="amasia", verb="thing.do", target=secret(workspace, "audit"), workspace=workspace)


def with_repository(db: Database, workspace: str, owner: Principal | None = None) -> None:
    """There is one with a commit, also after somebody deleted it."""
    who = owner or Principal(user="owner" if workspace == OWN else "landlord", operator=False,
                             scope=Scope.everything, token_id="")  # fmt: skip
    word = secret(workspace, "data")
    try:
        made = repositories.create(db, who, workspace, RepositoryRequest(name="own", description=word))
    except errors.Conflict:
        return
    repositories.made(db, made)
    begun = repositories.begin_commit(db, who, workspace, "own", CommitRequest(message=word))
    repositories.finish_commit(db, who, workspace, "own", begun.commit_id, CommitDone(snapshot="S0"))


def _join(db: Database, workspace: str, owner: Principal, user: str, role: Role) -> None:
    workspaces.set_member(db, owner, Role.owner, Membership(workspace=workspace, user=user, role=role))


def _there(db: Database, name: str) -> bool:
    with db.read() as tx:
        return user_rows.is_taken(tx, name)


def _token(db: Database, user: str, scope: Scope = Scope.everything, **bound: str | None) -> str:
    with db.write() as tx:
        return access.issue_token(tx, user, "proof", scope, timedelta(hours=12), **bound).secret


def client(api: FastAPI, token: str, portal: Any) -> TestClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    made = TestClient(api, headers=headers, raise_server_exceptions=False)
    made.portal = portal
    return made


def lend(place: repositories.Place, mode: Any, principal: str, seconds: int) -> Lease:
    one = place.repository
    return Lease(repository=one.name, workspace=one.workspace, mode=mode, kind=place.bucket.kind, bucket="b",
                 prefix=one.id)  # fmt: skip


BESIDES = {"events", "chains", "exports", "failures"}
"""Tables that a denial writes to."""


def _digest(db: Database) -> str:
    """Of every row that a request may change, but when a token was last used."""
    found = hashlib.sha256()
    with db.read() as tx:
        for table in metadata.sorted_tables:
            if table.name not in BESIDES:
                columns = [column for column in table.c if column.name != "last_used_at"]
                rows = tx.execute(select(*columns).order_by(*table.primary_key.columns)).all()
                found.update(f"{table.name}{rows!r}".encode())
    return found.hexdigest()


def lines(base: Path, database: str) -> Iterator[Line]:
    """All there is to ask, on one kind of database, whatever the dose."""
    with databases.fresh(base, database) as db:
        report = judge(db, ServerSettings(home=base, lease_seconds=600))
    what = f"{report.routes} routes by {len(CALLERS)} callers on {database}"
    for name, found in (
        ("leaks", report.leaks),
        ("refused that should be let in", report.shut_out),
        ("server errors", report.bugs),
        ("routes that say nothing about who may", report.silent),
    ):
        yield Line(3, f"{what}: {name}", str(len(found)), "0", not found, "; ".join(found[:3])[:600])
    enough = report.asked >= report.routes * len(CALLERS)
    yield Line(3, f"{what}: requests", str(report.asked), f">= {report.routes * len(CALLERS)}", enough,
               f"words shown to the owner: {', '.join(sorted(report.shown))}")  # fmt: skip
