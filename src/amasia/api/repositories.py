"""Repositories: made, lent, committed to."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from amasia.api.access import Db, Grant, Granted, Settings, granted, may, seen
from amasia.api.waiting import until
from amasia.models.base import Page
from amasia.models.grants import Level
from amasia.models.permissions import Permission
from amasia.models.repositories import (
    Commit,
    CommitDone,
    CommitRequest,
    Lease,
    LeaseRequest,
    Mode,
    Provenance,
    Repository,
    RepositoryRequest,
    RepositoryStatus,
)
from amasia.models.users import Principal
from amasia.services import grants, limits, refs, repositories
from amasia.services.access import TASKS

PAGE = 500
router = APIRouter(prefix="/workspaces/{workspace}/repositories", tags=["repositories"])

Seer = Annotated[Granted, granted(Level.read, "repository.get", public=True)]
Reader = Annotated[Granted, granted(Level.read, "repository.read", public=True)]
Writer = Annotated[Granted, granted(Level.write, "repository.write")]
Admin = Annotated[Granted, granted(Level.admin, "repository.delete")]
Maker = Annotated[Grant, may(Permission.write, "repository.create", TASKS)]


@router.get("")
def find(db: Db, workspace: str, who: Annotated[Principal, seen()]) -> Page[Repository]:
    return Page(items=tuple(grants.visible(db, who, workspace)))


@router.post("", status_code=201)
def create(db: Db, settings: Settings, workspace: str, grant: Maker, body: RepositoryRequest) -> Repository:
    most = limits.in_force(db, settings, workspace).repositories
    return repositories.create(db, grant.who, workspace, body, most=most)


@router.get("/{name}")
async def get(
    db: Db, workspace: str, name: str, grant: Seer, wait: Annotated[float, Query(ge=0, le=60)] = 0
) -> Repository:
    if grant.repository.status is not RepositoryStatus.requested:
        return grant.repository  # what was read to decide is not read again: every open asks for this
    return await until(
        lambda: repositories.get(db, workspace, name),
        lambda found: found.status is not RepositoryStatus.requested,
        wait,
    )


@router.delete("/{name}", status_code=204)
def delete(db: Db, workspace: str, name: str, grant: Admin) -> None:
    repositories.delete(db, grant.who, workspace, name)


@router.post("/{name}/credentials")
def lend(db: Db, request: Request, workspace: str, name: str, grant: Reader, body: LeaseRequest) -> Lease:
    """Write the lending down, then ask the object store; the service never talks to a store."""
    if body.mode is Mode.write:
        grants.require(db, grant.who, workspace, name, Level.write, "repository.write")
    place = repositories.lend(db, grant.who, workspace, name, body)
    seconds = repositories.life(request.app.state.settings, grant.who, body)
    lease: Lease = request.app.state.lend(place, body.mode, place.session, seconds)
    return lease


@router.get("/{name}/commits", dependencies=[granted(Level.read, "commit.list", public=True)])
def commits(
    db: Db,
    workspace: str,
    name: str,
    after: str = "",
    ref: str = "",
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
) -> Page[Commit]:
    """All commits, page by page; or the newest that a branch, tag, snapshot or time has behind it."""
    if ref:
        return Page(items=tuple(refs.history(db, workspace, name, ref, limit)))
    items = repositories.commits(db, workspace, name, limit, after)
    return Page(items=tuple(items), next=items[-1].id if len(items) == limit else "")


@router.post("/{name}/commits", status_code=201)
def begin_commit(db: Db, workspace: str, name: str, grant: Writer, body: CommitRequest) -> Provenance:
    return repositories.begin_commit(db, grant.who, workspace, name, body)


@router.put("/{name}/commits/{commit_id}")
def finish_commit(db: Db, workspace: str, name: str, commit_id: str, grant: Writer, body: CommitDone) -> Commit:
    return repositories.finish_commit(db, grant.who, workspace, name, commit_id, body)
