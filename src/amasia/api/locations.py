"""Where machines come from."""

from typing import Annotated

from fastapi import APIRouter

from amasia.api.access import Db, Grant, Settings, may
from amasia.models.base import Page
from amasia.models.locations import Location, LocationChange, LocationRequest
from amasia.models.permissions import Permission
from amasia.services import locations

router = APIRouter(prefix="/workspaces/{workspace}/locations", tags=["locations"])


@router.get("", dependencies=[may(Permission.read, "location.list")])
def find(db: Db, workspace: str) -> Page[Location]:
    return Page(items=tuple(locations.find(db, workspace)))


@router.post("", status_code=201)
def create(
    db: Db,
    settings: Settings,
    workspace: str,
    grant: Annotated[Grant, may(Permission.manage, "location.create")],
    body: LocationRequest,
) -> Location:
    return locations.create(db, grant.who, workspace, body, private_endpoints=settings.private_endpoints)


@router.get("/{name}", dependencies=[may(Permission.read, "location.get")])
def get(db: Db, workspace: str, name: str) -> Location:
    return locations.get(db, workspace, name)


@router.patch("/{name}")
def update(
    db: Db,
    settings: Settings,
    workspace: str,
    name: str,
    grant: Annotated[Grant, may(Permission.manage, "location.update")],
    body: LocationChange,
) -> Location:
    """Change what is given, and wish for a look at it. Its provider and region stay."""
    return locations.update(db, grant.who, workspace, name, body, private_endpoints=settings.private_endpoints)


@router.post("/{name}/checks", status_code=202)
def check(
    db: Db, workspace: str, name: str, grant: Annotated[Grant, may(Permission.manage, "location.check")]
) -> Location:
    """Wish for another look at it; its findings are on the location when its status is no longer *requested*."""
    return locations.check(db, grant.who, workspace, name)


@router.delete("/{name}", status_code=204)
def delete(
    db: Db, workspace: str, name: str, grant: Annotated[Grant, may(Permission.manage, "location.delete")]
) -> None:
    locations.delete(db, grant.who, workspace, name)
