"""What repositories take up, and their cleanings."""

from typing import Annotated

from fastapi import APIRouter, Query

from amasia.api.access import Db, Granted, granted, may
from amasia.api.waiting import until
from amasia.models.base import Cursor, Page
from amasia.models.grants import Level
from amasia.models.permissions import Permission
from amasia.models.storage import Cleaning, CleaningRequest, CleaningStatus, Storage, StorageBill, StorageCharge
from amasia.services import cleanings, storage

PAGE = 500
router = APIRouter(prefix="/workspaces/{workspace}", tags=["repositories"])


@router.get("/repositories/{name}/storage", dependencies=[granted(Level.read, "storage.get")])
def get_storage(db: Db, workspace: str, name: str) -> Storage:
    return storage.get(db, workspace, name)


@router.get("/repositories/{name}/storage/snapshots", dependencies=[granted(Level.read, "storage.get")])
def bill(db: Db, workspace: str, name: str, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> StorageBill:
    return storage.bill(db, workspace, name, limit)


@router.get("/storage-charges", dependencies=[may(Permission.costs, "charge.list")])
def charges(db: Db, workspace: str, after: Cursor = 0) -> Page[StorageCharge]:
    items = storage.charges(db, workspace, after, PAGE)
    return Page(items=tuple(items), next=str(items[-1].id) if len(items) == PAGE else "")


@router.post("/repositories/{name}/cleanings", status_code=201)
def create(
    db: Db,
    workspace: str,
    name: str,
    grant: Annotated[Granted, granted(Level.admin, "repository.expire")],
    body: CleaningRequest,
) -> Cleaning:
    return cleanings.create(db, grant.who, workspace, name, body)


@router.get("/repositories/{name}/cleanings", dependencies=[granted(Level.admin, "cleaning.list")])
def find(db: Db, workspace: str, name: str) -> Page[Cleaning]:
    return Page(items=tuple(cleanings.find(db, workspace, name)))


@router.get("/repositories/{name}/cleanings/{cleaning_id}", dependencies=[granted(Level.admin, "cleaning.get")])
async def get(
    db: Db, workspace: str, name: str, cleaning_id: str, wait: Annotated[float, Query(ge=0, le=60)] = 0
) -> Cleaning:
    return await until(
        lambda: cleanings.get(db, workspace, name, cleaning_id),
        lambda found: found.status is not CleaningStatus.requested,
        wait,
    )
