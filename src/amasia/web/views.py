"""Views: how current each is, what depends on what, and what each refresh did and cost."""

from fastapi import APIRouter, Request, Response

from amasia.services import budgets, refreshes, views
from amasia.web import pages
from amasia.web.access import Db, Member

REFRESHES = 30
router = APIRouter(prefix="/{workspace}/views")


@router.get("")
def find(request: Request, db: Db, grant: Member, workspace: str) -> Response:
    return pages.render(
        request,
        "views.html",
        **pages.place(db, grant, workspace, "views"),
        views=views.find(db, grant.who, workspace),
        last=refreshes.newest(db, workspace),
        budget=budgets.get(db, workspace),
    )


@router.get("/{name}")
def get(request: Request, db: Db, grant: Member, workspace: str, name: str) -> Response:
    return pages.render(
        request,
        "view.html",
        **pages.place(db, grant, workspace, "views"),
        view=views.get(db, grant.who, workspace, name),
        refreshes=refreshes.find(db, grant.who, workspace, name, limit=REFRESHES),
        budget=budgets.get(db, workspace),
    )
