"""Who looks at a page: the session's cookie, what it may do, and where a form may come from."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response

from amasia import errors
from amasia.database.engine import Database
from amasia.models.clusters import Cluster
from amasia.models.grants import Level
from amasia.models.permissions import Permission, Role, may
from amasia.models.users import Principal
from amasia.services import access, grants
from amasia.services.rates import Rates
from amasia.settings import ServerSettings

HOME = "/"


def database(request: Request) -> Database:
    db: Database = request.app.state.db
    return db


def settings(request: Request) -> ServerSettings:
    found: ServerSettings = request.app.state.settings
    return found


def source(request: Request) -> str:
    return request.client.host if request.client else ""


def cookie_name(found: ServerSettings) -> str:
    """Browsers keep cookies by host and not by port, so two control planes of one computer need two names."""
    return f"__Host-amasia-{found.port}" if _https(found) else f"amasia-{found.port}"


def principal(request: Request) -> Principal:
    """Whoever holds the session's token."""
    secret = request.cookies.get(cookie_name(settings(request)), "")
    who = access.principal(database(request), secret, source(request))
    rates: Rates = request.app.state.rates
    rates.check(who.user, request.path_params.get("workspace", ""))
    return who


Db = Annotated[Database, Depends(database)]
Settings = Annotated[ServerSettings, Depends(settings)]
Who = Annotated[Principal, Depends(principal)]


class Grant:
    """A principal in a workspace, and the role they have there."""

    def __init__(self, who: Principal, role: Role) -> None:
        self.who = who
        self.role = role

    def may(self, permission: str) -> bool:
        return may(self.role, Permission(permission))

    def may_see_log(self, cluster: Cluster) -> bool:
        return self.who.user == cluster.owner or may(self.role, Permission.manage)

    def may_stop(self, cluster: Cluster) -> bool:
        """As the API has it: who may run at all, their own; who manages, anybody's."""
        return may(self.role, Permission.run) and self.may_see_log(cluster)


def reader(db: Db, who: Who, workspace: str) -> Grant:
    return Grant(who, access.require(db, who, workspace, Permission.read, "console.read"))


def payer(db: Db, who: Who, workspace: str) -> Grant:
    return Grant(who, access.require(db, who, workspace, Permission.costs, "console.costs"))


def knower(db: Db, who: Who, workspace: str) -> Grant:
    return Grant(who, access.require(db, who, workspace, Permission.people, "console.people"))


def budgeter(db: Db, who: Who, workspace: str) -> Grant:
    return Grant(who, access.require(db, who, workspace, Permission.budget, "console.budget"))


def auditor(db: Db, who: Who, workspace: str) -> Grant:
    return Grant(who, access.require(db, who, workspace, Permission.audit, "console.audit"))


def runner(db: Db, who: Who, workspace: str) -> Grant:
    return Grant(who, access.require(db, who, workspace, Permission.run, "cluster.run"))


def manager(db: Db, who: Who, workspace: str) -> Grant:
    return Grant(who, access.require(db, who, workspace, Permission.manage, "console.manage"))


def member(db: Db, who: Who, workspace: str) -> Grant:
    """Whoever is in the workspace, guests too: for pages that show each person what they may see."""
    return Grant(who, access.require_member(db, who, workspace, "console.read"))


def viewer(db: Db, who: Who, workspace: str, name: str) -> Grant:
    """A member who may read the path's repository."""
    grants.require(db, who, workspace, name, Level.read, "console.read")
    return member(db, who, workspace)


Reader = Annotated[Grant, Depends(reader)]
Payer = Annotated[Grant, Depends(payer)]
Budgeter = Annotated[Grant, Depends(budgeter)]
Knower = Annotated[Grant, Depends(knower)]
Auditor = Annotated[Grant, Depends(auditor)]
Member = Annotated[Grant, Depends(member)]
Viewer = Annotated[Grant, Depends(viewer)]
Runner = Annotated[Grant, Depends(runner)]
Manager = Annotated[Grant, Depends(manager)]


def same_origin(request: Request) -> None:
    """Refuse a form that another site sent. The cookie is SameSite=Strict; this stands behind it."""
    if request.method in ("GET", "HEAD"):
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    host = request.headers.get("host", "")
    # Origin wins where both are there: a proxy may end https, so the scheme is not compared, host and port are.
    if site in (None, "same-origin", "none") and (urlsplit(origin).netloc == host if origin else site is not None):
        return
    access.deny(database(request), access.anonymous(source(request)), None, "console.form", request.url.path)
    raise errors.PermissionDenied(
        f"This form came from {origin or 'an unknown place'}, and only this console's own pages may send it.",
        cure="Open the console itself and press the button there.",
    )


def local(path: str) -> str:
    """A path of this console to go on to; home for whatever else a link tries to send people to."""
    parts = urlsplit(path)
    plain = path.isprintable() and "\\" not in path and not parts.scheme and not parts.netloc
    return path if plain and path.startswith("/") and not path.startswith("//") else HOME


def keep(response: Response, found: ServerSettings, secret: str) -> None:
    response.set_cookie(
        cookie_name(found),
        secret,
        max_age=found.session_seconds,
        path="/",
        secure=_https(found),
        httponly=True,
        samesite="strict",
    )


def forget(response: Response, found: ServerSettings) -> None:
    response.delete_cookie(cookie_name(found), path="/", secure=_https(found), httponly=True, samesite="strict")


def _https(found: ServerSettings) -> bool:
    return found.url.startswith("https://")
