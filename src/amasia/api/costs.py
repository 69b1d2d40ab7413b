"""What was spent, what is to come, and what is spent for nothing."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from amasia.api.access import Db, Grant, Settings, may
from amasia.models.base import Cursor, Page
from amasia.models.budgets import Charge
from amasia.models.costs import CostLine, Costs, Cut
from amasia.models.egress import EgressRequest, EgressTaken
from amasia.models.forecasts import Forecast
from amasia.models.money import parse
from amasia.models.permissions import Permission
from amasia.models.usage import Usage
from amasia.models.waste import WasteReport
from amasia.services import costs, egress, forecasts, usage, waste

router = APIRouter(prefix="/workspaces/{workspace}", tags=["costs"])

PAGE = 500

Since = Annotated[date | datetime | None, Query(description="First day; a moment stands for its day.")]
Until = Annotated[date | datetime | None, Query(description="Last day; a moment stands for its day.")]
Limit = Annotated[int, Query(ge=1, le=PAGE)]
Seer = Annotated[Grant, may(Permission.costs, "cost.get")]


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


@router.get("/costs/forecast")
def forecast(db: Db, workspace: str, grant: Seer) -> Forecast:
    return forecasts.get(db, grant.who, grant.role, workspace)


@router.get("/costs/waste")
def find_waste(db: Db, settings: Settings, workspace: str, grant: Seer) -> WasteReport:
    return waste.find(db, grant.who, grant.role, workspace, parse(settings.storage_price))


@router.put("/costs/egress")
def take_egress(
    db: Db, workspace: str, grant: Annotated[Grant, may(Permission.budget, "egress.take")], body: EgressRequest
) -> EgressTaken:
    return egress.take(db, grant.who, workspace, body)


@router.get("/costs/usage")
def usage_of(
    db: Db, workspace: str, grant: Seer, since: Since = None, until: Until = None, after: str = ""
) -> Page[Usage]:
    return usage.find(db, grant.who, grant.role, workspace, since, until, after)


@router.get("/charges")
def charges(
    db: Db, workspace: str, grant: Annotated[Grant, may(Permission.costs, "charge.list")], after: Cursor = 0
) -> Page[Charge]:
    items = costs.charges(db, grant.who, grant.role, workspace, after, PAGE)
    return Page(items=tuple(items), next=str(items[-1].id) if len(items) == PAGE else "")
