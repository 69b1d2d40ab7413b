"""What is kept warm at a location."""

from typing import Annotated

from fastapi import APIRouter

from amasia.api.access import Db, Grant, may
from amasia.models.base import Name, Page
from amasia.models.permissions import Permission
from amasia.models.standbys import Standby, StandbyRequest
from amasia.services import standbys

router = APIRouter(prefix="/workspaces/{workspace}/locations/{name}/standbys", tags=["locations"])


@router.get("", dependencies=[may(Permission.read, "standby.list")])
def find(db: Db, workspace: str, name: str) -> Page[Standby]:
    return Page(items=tuple(standbys.find(db, workspace, name)))


@router.put("/{machine_type}")
def put(
    db: Db,
    workspace: str,
    name: Name,
    machine_type: Name,
    grant: Annotated[Grant, may(Permission.manage, "standby.set")],
    body: StandbyRequest,
) -> Standby:
    """Keep so many machines of a type warm; 0 ends that."""
    return standbys.put(db, grant.who, workspace, name, machine_type, body)
