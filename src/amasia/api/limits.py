"""What each tenant may take: said by operators, seen by members."""

from typing import Annotated

from fastapi import APIRouter

from amasia.api.access import Db, Settings, may, operator
from amasia.models.base import Page
from amasia.models.limits import Allowance, LimitsRequest
from amasia.models.permissions import Permission
from amasia.models.users import Principal
from amasia.services import limits

router = APIRouter(tags=["limits"])

Setter = Annotated[Principal, operator("limit.set")]


@router.get("/limits", dependencies=[operator("limit.list")])
def find(db: Db, settings: Settings) -> Page[Allowance]:
    return Page(items=tuple(limits.find(db, settings)))


@router.put("/limits/{workspace}")
def put(db: Db, settings: Settings, workspace: str, who: Setter, body: LimitsRequest) -> Allowance:
    return limits.put(db, who, settings, workspace, body)


@router.delete("/limits/{workspace}")
def reset(db: Db, settings: Settings, workspace: str, who: Setter) -> Allowance:
    """Back to those of every workspace."""
    return limits.reset(db, who, settings, workspace)


@router.get("/workspaces/{workspace}/limits", dependencies=[may(Permission.read, "limit.get")])
def get(db: Db, settings: Settings, workspace: str) -> Allowance:
    return limits.get(db, settings, workspace)
