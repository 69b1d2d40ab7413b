"""Who is in a workspace, and what each role may."""

from collections import defaultdict

from fastapi import APIRouter, Request, Response

from amasia.models.grants import ROLES
from amasia.models.permissions import GRANTS, Permission, Role
from amasia.services import groups, service_accounts, workspaces
from amasia.web import pages
from amasia.web.access import Db, Knower

router = APIRouter()

WORDS = {
    Permission.trail: "see what they did themselves",
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


@router.get("/{workspace}/people")
def people(request: Request, db: Db, grant: Knower, workspace: str) -> Response:
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
        **pages.place(db, grant, workspace, "people"),
        members=[one for one in workspaces.members(db, workspace) if one.user not in named],
        groups=found,
        groups_of=of,
        accounts=accounts,
        tokens=tokens,
        roles=[(role, [WORDS[one] for one in Permission if one in GRANTS[role]], ROLES[role]) for role in Role],
    )
