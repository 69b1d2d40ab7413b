"""Files that landed for a repository."""

from typing import Annotated

from fastapi import APIRouter

from amasia.api.access import Db, Granted, granted
from amasia.models.arrivals import Arrival, ArrivalDone, ArrivalRequest, Outcome
from amasia.models.base import Cursor, Page
from amasia.models.grants import Level
from amasia.services import arrivals

PAGE = 500
router = APIRouter(prefix="/workspaces/{workspace}/repositories/{name}/arrivals", tags=["arrivals"])

Reader = Annotated[Granted, granted(Level.read, "arrival.list")]
Writer = Annotated[Granted, granted(Level.write, "arrival.create")]


@router.get("")
def find(db: Db, grant: Reader, outcome: Outcome | None = None, after: Cursor = 0) -> Page[Arrival]:
    items = arrivals.find(db, grant.repository, outcome, after, PAGE)
    return Page(items=tuple(items), next=str(items[-1].id) if len(items) == PAGE else "")


@router.post("", status_code=201)
def create(db: Db, grant: Writer, body: ArrivalRequest) -> Page[Arrival]:
    return Page(items=tuple(arrivals.create(db, grant.who, grant.repository, body)))


@router.put("/{arrival_id}")
def settle(db: Db, arrival_id: Cursor, grant: Writer, body: ArrivalDone) -> Arrival:
    return arrivals.settle(db, grant.who, grant.repository, arrival_id, body)
