"""Refreshes of views: wished for, followed; claimed by whoever does one."""

from typing import Annotated

from fastapi import APIRouter, Query

from amasia.api.access import Db, Grant, may
from amasia.api.waiting import until
from amasia.models.base import Page
from amasia.models.permissions import Permission
from amasia.models.views import Claim, ClaimRequest, Refresh, RefreshDone, RefreshStatus, Renewal
from amasia.services import refreshes
from amasia.services.access import TASKS

PAGE = 100
OVER = (RefreshStatus.done, RefreshStatus.failed)
router = APIRouter(prefix="/workspaces/{workspace}/views/{name}", tags=["views"])

Wait = Annotated[float, Query(ge=0, le=60)]
Reader = Annotated[Grant, may(Permission.read, "refresh.read")]
Runner = Annotated[Grant, may(Permission.run, "view.refresh")]
Refresher = Annotated[Grant, may(Permission.write, "view.claim", TASKS)]


@router.get("/refreshes")
def find(db: Db, workspace: str, name: str, grant: Reader, after: str = "") -> Page[Refresh]:
    items = refreshes.find(db, grant.who, workspace, name, PAGE, after)
    return Page(items=tuple(items), next=items[-1].id if len(items) == PAGE else "")


@router.post("/refreshes", status_code=201)
def create(db: Db, workspace: str, name: str, grant: Runner) -> Refresh:
    return refreshes.request(db, grant.who, workspace, name)


@router.get("/refreshes/{refresh_id}")
async def get(db: Db, workspace: str, name: str, refresh_id: str, grant: Reader, wait: Wait = 0) -> Refresh:
    return await until(
        lambda: refreshes.get(db, grant.who, workspace, name, refresh_id), lambda found: found.status in OVER, wait
    )


@router.post("/claims", status_code=201)
def claim(db: Db, workspace: str, name: str, grant: Refresher, body: ClaimRequest) -> Claim:
    return refreshes.claim(db, grant.who, workspace, name, body)


@router.post("/claims/{refresh_id}/renewal")
def renew(db: Db, workspace: str, name: str, refresh_id: str, grant: Refresher, body: Renewal) -> Refresh:
    return refreshes.renew(db, grant.who, workspace, name, refresh_id, body)


@router.put("/claims/{refresh_id}")
def finish(db: Db, workspace: str, name: str, refresh_id: str, grant: Refresher, body: RefreshDone) -> Refresh:
    return refreshes.finish(db, grant.who, workspace, name, refresh_id, body)
