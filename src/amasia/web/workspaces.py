"""The first page: what runs, whose, what it costs."""

from datetime import timedelta

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from amasia import __version__, errors
from amasia.models.base import now
from amasia.models.clusters import ClusterStatus
from amasia.models.permissions import Permission
from amasia.services import alerts, budgets, clusters, standbys, users
from amasia.web import pages
from amasia.web.access import Db, Member, Who

router = APIRouter()

ENDED = 8
"""Ended clusters that are shown."""
LOOK_BACK = 60
FIRST = ((Permission.costs, "costs"), (Permission.audit, "audit"))
"""Where those begin who see no clusters."""
FRESH = timedelta(days=1)
"""So long the first page shows what one was told of budgets; that of costs shows it for longer."""


@router.get("/")
def first(db: Db, who: Who) -> Response:
    mine = sorted(membership.workspace for membership in users.me(db, who, __version__).memberships)
    if not mine:
        raise errors.NotFound(
            f"{who.user} is a member of no workspace yet.",
            cure="Ask an admin of one to add you: `amasia workspace add USER member`.",
        )
    return RedirectResponse(f"/{mine[0]}", status_code=303)


@router.get("/{workspace}")
def home(request: Request, db: Db, grant: Member, workspace: str) -> Response:
    if not grant.may(Permission.read):  # to the first page that is for them
        mine = [page for permission, page in FIRST if grant.may(permission)]
        return RedirectResponse(f"/{workspace}/{mine[0] if mine else 'repositories'}", status_code=303)
    live = clusters.find(db, workspace, live=True)
    ended = [one for one in clusters.find(db, workspace, limit=LOOK_BACK) if one.status is ClusterStatus.stopped]
    return pages.render(
        request,
        "home.html",
        **pages.place(db, grant, workspace, "home"),
        live=live,
        ended=ended[:ENDED],
        budget=budgets.get(db, workspace),
        warm=standbys.find(db, workspace),
        alerts=[one for one in alerts.find(db, grant.who, workspace) if now() - one.at < FRESH],
    )
