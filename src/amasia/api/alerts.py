"""What people are told of budgets."""

from typing import Annotated

from fastapi import APIRouter

from amasia.api.access import Db, Grant, may, person
from amasia.models.alerts import Alert
from amasia.models.base import Page
from amasia.models.permissions import Permission
from amasia.models.users import Principal
from amasia.services import alerts

router = APIRouter(tags=["alerts"])


@router.get("/workspaces/{workspace}/alerts")
def find(db: Db, workspace: str, grant: Annotated[Grant, may(Permission.read, "alert.list")]) -> Page[Alert]:
    return Page(items=tuple(alerts.find(db, grant.who, workspace)))


@router.post("/me/alerts")
def take(db: Db, who: Annotated[Principal, person(writing=True)]) -> Page[Alert]:
    return Page(items=tuple(alerts.take(db, who)))
