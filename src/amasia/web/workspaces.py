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
MINE, ALL = "mine", "all"
WHOSE = {MINE: "Yours", ALL: "Everybody's"}
"""Whose clusters the page shows, as the address says it, and in words."""
LIVE = 500
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
def home(request: Request, db: Db, grant: Member, workspace: str, whose: str = "") -> Response:
    """Of what runs, one's own to begin with; to who manages the workspace or runs nothing, everybody's."""
    if not grant.may(Permission.read):  # to the first page that is for them
        mine = [page for permission, page in FIRST if grant.may(permission)]
        return RedirectResponse(f"/{workspace}/{mine[0] if mine else 'repositories'}", status_code=303)
    usual = ALL if grant.may(Permission.manage) or not grant.may(Permission.run) else MINE
    chosen = whose or usual
    if chosen not in WHOSE:
        raise errors.InvalidRequest(f"{whose!r} is no choice.", cure=f"Choose one of {', '.join(WHOSE)}.")
    live = clusters.find(db, workspace, live=True, limit=LIVE)
    own = [one for one in live if one.owner == grant.who.user]
    owner = grant.who.user if chosen == MINE else ""
    past = clusters.find(db, workspace, owner=owner, limit=LOOK_BACK)
    return pages.render(
        request,
        "home.html",
        **pages.place(db, grant, workspace, "home"),
        live=own if owner else live,
        ended=[one for one in past if one.status is ClusterStatus.stopped][:ENDED],
        whose=[(key, WHOSE[key], len(own if key == MINE else live)) for key in WHOSE],
        chosen=chosen,
        usual=usual,
        budget=budgets.get(db, workspace),
        warm=standbys.find(db, workspace),
        alerts=[one for one in alerts.find(db, grant.who, workspace) if now() - one.at < FRESH],
    )
