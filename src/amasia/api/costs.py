"""What was spent, what is to come, and what is spent for nothing."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from amasia.api.access import Db, Grant, may
from amasia.models.base import Cursor, Page
from amasia.models.budgets import Charge
from amasia.models.costs import CostLine, Costs, Cut
from amasia.models.permissions import Permission
from amasia.services import costs

router = APIRouter(prefix="/workspaces/{workspace}", tags=["costs"])

PAGE = 500

Since = Annotated[date | datetime | None, Query(description="First day; a moment stands for its day.")]
Until = Annotated[date | datetime | None, Query(description="Last day; a moment stands for its day.")]
Limit = Annotated[int, Query(ge=1, le=PAGE)]
Seer = Annotated[Grant, may(Permission.read, "cost.get")]


@router.get("/costs")
def get(db: Db, workspace: str, grant: Seer, since: Since = None, until: Until = None) -> Costs:
    return costs.get(db, grant.who, grant.role, workspace, since, until)


@router.get("/costs/lines")
def find(
    db: Db,
    workspace: str,
    grant: Seer,
    by: Cut,
    since: Since = None,
    until: Until = None,
    after: Cursor = 0,
    limit: Limit = PAGE,
) -> Page[CostLine]:
    return costs.find(db, grant.who, grant.role, workspace, by, since, until, after, limit)


@router.get("/charges")
def charges(
    db: Db, workspace: str, grant: Annotated[Grant, may(Permission.read, "charge.list")], after: Cursor = 0
) -> Page[Charge]:
    items = costs.charges(db, grant.who, grant.role, workspace, after, PAGE)
    return Page(items=tuple(items), next=str(items[-1].id) if len(items) == PAGE else "")
