"""The page of costs: over time, by anything, what is to come, budgets, and what is spent for nothing."""

from fastapi import APIRouter, Request, Response

from amasia.services import alerts, budgets, costs
from amasia.web import pages
from amasia.web.access import Db, Reader

router = APIRouter()


@router.get("/{workspace}/costs")
def show(request: Request, db: Db, grant: Reader, workspace: str) -> Response:
    return pages.render(
        request,
        "costs.html",
        **pages.place(db, grant, workspace, "costs"),
        costs=costs.get(db, grant.who, grant.role, workspace),
        budget=budgets.get(db, workspace),
        budgets=budgets.find(db, workspace),
        alerts=alerts.find(db, grant.who, workspace),
    )
