"""Who may: the one way in which a route says it, and what the route-by-role matrix reads."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from amasia import errors
from amasia.api import rates, visits
from amasia.database.engine import Database
from amasia.models.grants import Level
from amasia.models.permissions import Permission, Role
from amasia.models.repositories import Repository
from amasia.models.users import Principal, Scope
from amasia.services import access, grants, publications
from amasia.settings import ServerSettings


# `async` where nothing waits: such a dependency costs no thread.
async def database(request: Request) -> Database:
    db: Database = request.app.state.db
    return db


async def settings(request: Request) -> ServerSettings:
    found: ServerSettings = request.app.state.settings
    return found


Db = Annotated[Database, Depends(database)]
Settings = Annotated[ServerSettings, Depends(settings)]


def bearer(request: Request) -> str:
    """The bearer token; empty for none."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("", "bearer"):
        raise errors.NotSignedIn(f"The scheme {scheme!r} is not understood.", cure="Send a bearer token.")
    return secret.strip()


def principal(request: Request, db: Db) -> Principal:
    """Whoever holds the bearer token."""
    return access.principal(db, bearer(request), source(request))


def visitor(request: Request, db: Db) -> Principal:
    """Whoever holds the bearer token; anonymous where none was sent. Only for routes of what may be public."""
    if "authorization" in request.headers:
        return principal(request, db)
    return access.anonymous(source(request))


def source(request: Request) -> str:
    return request.client.host if request.client else ""


Who = Annotated[Principal, Depends(principal)]
Visitor = Annotated[Principal, Depends(visitor)]


class Grant:
    """A principal who may do what the route does, and the role that lets them."""

    def __init__(self, who: Principal, role: Role) -> None:
        self.who = who
        self.role = role


def may(permission: Permission, verb: str, scopes: frozenset[Scope] = access.PEOPLE) -> Any:
    """Members of the path's workspace whose role has the permission."""

    def check(request: Request, db: Db, who: Who, workspace: str) -> Grant:
        rates.count(request, who, workspace)
        return Grant(who, access.require(db, who, workspace, permission, verb, scopes))

    return _decided(permission.value, check)


class Granted:
    """A principal, and the repository that they may do this with."""

    def __init__(self, who: Principal, repository: Repository) -> None:
        self.who = who
        self.repository = repository


def granted(level: Level, verb: str, *, public: bool = False) -> Any:
    """Whoever has at least a level on the path's repository; with ``public`` also those without an account."""

    def check(request: Request, db: Db, who: Who, workspace: str, name: str) -> Granted:
        rates.count(request, who, workspace)
        return Granted(who, grants.require(db, who, workspace, name, level, verb))

    def check_public(request: Request, db: Db, who: Visitor, workspace: str, name: str) -> Granted:
        visits.count(request, who)
        rates.count(request, who, workspace)
        return Granted(who, grants.require(db, who, workspace, name, level, verb, public=True))

    return _decided(f"{level.value} public", check_public) if public else _decided(f"{level.value} level", check)


def seen() -> Any:
    """Anybody: the route's service answers with what they may see."""

    async def check(request: Request, who: Visitor) -> Principal:
        visits.count(request, who)
        rates.count(request, who)
        return who

    return _decided("seen", check)


def person(*, writing: bool) -> Any:
    """Anybody who is signed in, about what is their own."""

    async def check(request: Request, db: Db, who: Who) -> Principal:
        rates.count(request, who)
        if not access.is_person(who, writing=writing):
            await run_in_threadpool(access.refuse_person, db, who, f"{request.method} {request.url.path}")
        return who

    return _decided("signed-in", check)


def operator(verb: str) -> Any:
    def check(request: Request, db: Db, who: Who) -> Principal:
        rates.count(request, who)
        access.require_operator(db, who, verb)
        return who

    return _decided("operator", check)


def itself() -> Any:
    """The machine of the path."""

    async def check(db: Db, who: Who, machine_id: str) -> Principal:
        if not access.is_machine(who, machine_id):
            await run_in_threadpool(access.refuse_machine, db, who, machine_id)
        return who

    return _decided("machine", check)


def itself_by() -> Any:
    """The machine of the path, by its token's digest: the route asks whose that is together with all else."""

    async def check(request: Request) -> str:
        return access.digest(bearer(request))

    return _decided("machine", check)


def publisher(verb: str) -> Any:
    """The process that serves what is published."""

    def check(db: Db, who: Who) -> Principal:
        publications.require_publisher(db, who, verb)
        return who

    return _decided("publisher", check)


def anyone() -> Any:
    async def check() -> None:
        return None

    return _decided("anyone", check)


def _decided(name: str, check: Callable[..., Any]) -> Any:
    check.decision = name  # type: ignore[attr-defined]
    return Depends(check)
