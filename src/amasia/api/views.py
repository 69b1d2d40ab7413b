"""Views: made, looked at, paused, deleted."""

from typing import Annotated

from fastapi import APIRouter

from amasia.api.access import Db, Grant, may
from amasia.models.base import Page
from amasia.models.permissions import Permission
from amasia.models.views import View, ViewChange, ViewRequest
from amasia.services import views
from amasia.services.access import TASKS, owner_or_manager

router = APIRouter(prefix="/workspaces/{workspace}/views", tags=["views"])

Writer = Annotated[Grant, may(Permission.write, "view.write")]


@router.get("")
def find(db: Db, workspace: str, grant: Annotated[Grant, may(Permission.read, "view.list")]) -> Page[View]:
    return Page(items=tuple(views.find(db, grant.who, workspace)))


@router.post("", status_code=201)
def create(db: Db, workspace: str, grant: Writer, body: ViewRequest) -> View:
    return views.create(db, grant.who, workspace, body)


@router.get("/{name}")
def get(db: Db, workspace: str, name: str, grant: Annotated[Grant, may(Permission.read, "view.get", TASKS)]) -> View:
    return views.get(db, grant.who, workspace, name)


@router.patch("/{name}")
def change(db: Db, workspace: str, name: str, grant: Writer, body: ViewChange) -> View:
    _owned(db, grant, workspace, name, "view.change")
    return views.change(db, grant.who, workspace, name, body)


@router.delete("/{name}", status_code=204)
def delete(db: Db, workspace: str, name: str, grant: Writer) -> None:
    _owned(db, grant, workspace, name, "view.delete")
    views.delete(db, grant.who, workspace, name)


def _owned(db: Db, grant: Grant, workspace: str, name: str, verb: str) -> None:
    found = views.get(db, grant.who, workspace, name)
    owner_or_manager(db, grant.who, workspace, grant.role, found.owner, verb)
