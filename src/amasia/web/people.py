"""Who is in a workspace, what each role may, and who lets people in."""

from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from amasia import errors
from amasia.client.inputs import request as read
from amasia.database.engine import Database
from amasia.models.grants import ROLES
from amasia.models.permissions import GRANTS, Permission, Role
from amasia.models.users import Membership
from amasia.services import groups, service_accounts, workspaces
from amasia.web import pages
from amasia.web.access import Db, Grant, Knower, Manager

router = APIRouter(prefix="/{workspace}/people")

WORDS = {
    Permission.people: "see who is here",
    Permission.read: "see clusters, views and locations, read data",
    Permission.costs: "see what was spent",
    Permission.run: "start clusters",
    Permission.write: "write data",
    Permission.budget: "set budgets",
    Permission.audit: "read the audit trail",
    Permission.manage: "manage people, locations, buckets and all clusters",
    Permission.own: "make owners",
}
"""Each permission, as a column of the page."""


@router.get("")
def get(request: Request, db: Db, grant: Knower, workspace: str) -> Response:
    return _page(request, db, grant, workspace)


@router.post("")
def put(
    request: Request,
    db: Db,
    grant: Manager,
    workspace: str,
    user: Annotated[str, Form()] = "",
    role: Annotated[str, Form()] = "",
) -> Response:
    """Let somebody in who has an account, or give a member another role."""
    try:
        member = read(Membership, workspace=workspace, user=user.strip(), role=role)
        workspaces.set_member(db, grant.who, grant.role, member)
    except (errors.InvalidRequest, errors.NotFound, errors.Conflict, errors.PermissionDenied) as error:
        return _page(request, db, grant, workspace, user, error)
    return RedirectResponse(f"/{workspace}/people", status_code=303)


@router.post("/remove")
def remove(request: Request, db: Db, grant: Manager, workspace: str, user: Annotated[str, Form()]) -> Response:
    try:
        workspaces.remove_member(db, grant.who, grant.role, workspace, user)
    except (errors.NotFound, errors.Conflict, errors.PermissionDenied) as error:
        return _page(request, db, grant, workspace, error=error)
    return RedirectResponse(f"/{workspace}/people", status_code=303)


def _page(
    request: Request,
    db: Database,
    grant: Grant,
    workspace: str,
    typed: str = "",
    error: errors.AmasiaError | None = None,
) -> Response:
    accounts = service_accounts.find(db, workspace)
    named = {one.name for one in accounts}
    found = groups.find(db, workspace)
    of = defaultdict(list)
    for group in found:
        for member in group.members:
            of[member].append(group.name)
    tokens = defaultdict(list)
    if grant.may(Permission.manage):
        for token in service_accounts.every_token(db, workspace):
            tokens[token.user].append(token)
    return pages.render(
        request,
        "people.html",
        status=error.status if error else 200,
        **pages.place(db, grant, workspace, "people"),
        members=[one for one in workspaces.members(db, workspace) if one.user not in named],
        groups=found,
        groups_of=of,
        accounts=accounts,
        tokens=tokens,
        roles=[(role, [WORDS[one] for one in Permission if one in GRANTS[role]], ROLES[role]) for role in Role],
        typed=typed,
        error=error,
    )
