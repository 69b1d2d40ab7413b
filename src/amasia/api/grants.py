"""What was granted on a repository."""

from typing import Annotated

from fastapi import APIRouter

from amasia.api.access import Db, Granted, granted
from amasia.models.base import Page
from amasia.models.grants import Grant, GrantRequest, Level
from amasia.services import grants

router = APIRouter(prefix="/workspaces/{workspace}/repositories/{name}/grants", tags=["grants"])

Reader = Annotated[Granted, granted(Level.read, "grant.list")]
Admin = Annotated[Granted, granted(Level.admin, "grant.set")]


@router.get("")
def find(db: Db, grant: Reader) -> Page[Grant]:
    return Page(items=tuple(grants.find(db, grant.repository)))


@router.put("/{grantee}")
def put(db: Db, grantee: str, grant: Admin, body: GrantRequest) -> Grant:
    return grants.put(db, grant.who, grant.repository, grantee, body.level)


@router.delete("/{grantee}", status_code=204)
def remove(db: Db, grantee: str, grant: Admin) -> None:
    grants.remove(db, grant.who, grant.repository, grantee)
