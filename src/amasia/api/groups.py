"""Groups of a workspace's members."""

from typing import Annotated

from fastapi import APIRouter

from amasia.api.access import Db, Grant, may
from amasia.models.base import Page
from amasia.models.grants import Group, GroupRequest
from amasia.models.permissions import Permission
from amasia.services import groups

router = APIRouter(prefix="/workspaces/{workspace}/groups", tags=["groups"])

Manager = Annotated[Grant, may(Permission.manage, "group.change")]


@router.get("", dependencies=[may(Permission.people, "group.list")])
def find(db: Db, workspace: str) -> Page[Group]:
    return Page(items=tuple(groups.find(db, workspace)))


@router.post("", status_code=201)
def create(db: Db, workspace: str, grant: Manager, body: GroupRequest) -> Group:
    return groups.create(db, grant.who, workspace, body)


@router.delete("/{group}", status_code=204)
def delete(db: Db, workspace: str, group: str, grant: Manager) -> None:
    groups.delete(db, grant.who, workspace, group)


@router.put("/{group}/members/{user}")
def add(db: Db, workspace: str, group: str, user: str, grant: Manager) -> Group:
    return groups.add(db, grant.who, workspace, group, user)


@router.delete("/{group}/members/{user}", status_code=204)
def remove(db: Db, workspace: str, group: str, user: str, grant: Manager) -> None:
    groups.remove(db, grant.who, workspace, group, user)
