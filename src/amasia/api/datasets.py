"""The catalog: searched over all that somebody may read, and looked at one by one."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from amasia.api.access import Db, Grant, Granted, granted, may, seen
from amasia.models.base import Page
from amasia.models.datasets import Dataset, Details
from amasia.models.datasets import Query as Wanted
from amasia.models.grants import Level
from amasia.models.permissions import Permission
from amasia.models.users import Principal
from amasia.services import datasets, intake, searches

router = APIRouter(tags=["datasets"])

Someone = Annotated[Principal, seen()]
Reader = Annotated[Granted, granted(Level.read, "dataset.read", public=True)]
Group = Annotated[str, Query(description="Path in the repository.")]
PLACE = "/workspaces/{workspace}/repositories/{name}"


@router.get("/datasets")
def search(
    db: Db,
    who: Someone,
    q: Annotated[str, Query(max_length=500, description="Words, or beginnings of words.")] = "",
    variable: str = "",
    standard_name: str = "",
    bbox: Annotated[str, Query(description="west,south,east,north in degrees.")] = "",
    since: Annotated[str, Query(description="2020, 2020-07 or 2020-07-31T12:00:00Z")] = "",
    until: str = "",
    workspace: str = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    after: str = "",
    thumbnails: bool = False,
) -> Page[Dataset]:
    wanted = Wanted(
        text=q,
        variable=variable,
        standard_name=standard_name,
        box=searches.box(bbox),
        since=searches.moment(since),
        until=searches.moment(until, last=True),
        workspace=workspace,
    )
    begin = searches.offset(after)
    items = datasets.search(db, who, wanted, limit, begin, thumbnails=thumbnails)
    return Page[Dataset](items=tuple(items), next=str(begin + limit) if len(items) == limit else "")


@router.get(f"{PLACE}/datasets")
def find(db: Db, workspace: str, name: str, grant: Reader) -> Page[Dataset]:
    return Page(items=tuple(datasets.find(db, grant.repository)))


@router.get(f"{PLACE}/dataset")
def get(db: Db, workspace: str, name: str, grant: Reader, group: Group = "/") -> Details:
    return datasets.get(db, grant.repository, group)


@router.get(f"{PLACE}/preview", response_class=Response)
def preview(db: Db, workspace: str, name: str, grant: Reader, group: Group = "/", variable: str = "") -> Response:
    return Response(datasets.preview(db, grant.repository, group, variable), media_type="image/svg+xml")


@router.get("/workspaces/{workspace}/intake.yml", response_class=Response)
def catalog(db: Db, workspace: str, grant: Annotated[Grant, may(Permission.read, "dataset.catalog")]) -> Response:
    """For `intake.open_catalog`; at most so many datasets as a search goes deep."""
    found = datasets.search(db, grant.who, Wanted(workspace=workspace), datasets.DEEPEST)
    return Response(intake.catalog(found), media_type="application/yaml")
