"""Clusters: started, looked at, scaled, stopped."""

from typing import Annotated

from fastapi import APIRouter, Query

from amasia.api.access import Db, Grant, Settings, may
from amasia.api.waiting import until
from amasia.models.base import Cursor, Page
from amasia.models.clusters import Cluster, ClusterRequest, ClusterSpec, Quote, ScaleRequest, Security
from amasia.models.machines import LogLine
from amasia.models.permissions import Permission
from amasia.services import clusters
from amasia.services.access import owner_or_manager

router = APIRouter(prefix="/workspaces/{workspace}/clusters", tags=["clusters"])

PAGE = 100

Reader = Annotated[Grant, may(Permission.read, "cluster.read")]
Runner = Annotated[Grant, may(Permission.run, "cluster.run")]


@router.get("", dependencies=[may(Permission.read, "cluster.list")])
def find(db: Db, workspace: str, live: bool = False, after: str = "") -> Page[Cluster]:
    items = clusters.find(db, workspace, live=live, limit=PAGE, after=after)
    return Page(items=tuple(items), next=items[-1].id if len(items) == PAGE else "")


@router.post("", status_code=201)
def create(db: Db, settings: Settings, workspace: str, grant: Runner, body: ClusterRequest) -> Cluster:
    return clusters.create(db, settings, grant.who, workspace, body)


@router.post("/quotes")
def quote(db: Db, settings: Settings, workspace: str, grant: Runner, body: ClusterSpec) -> Quote:
    return clusters.quote(db, settings, grant.who, workspace, body)


@router.get("/{name}", dependencies=[may(Permission.read, "cluster.get")])
async def get(
    db: Db, workspace: str, name: str, wait: Annotated[float, Query(ge=0, le=60)] = 0, version: str = ""
) -> Cluster:
    return await until(lambda: clusters.get(db, workspace, name), lambda found: found.version != version, wait)


@router.patch("/{name}")
def scale(db: Db, workspace: str, name: str, grant: Runner, body: ScaleRequest) -> Cluster:
    found = _owned(db, grant, workspace, name, "cluster.scale")
    return clusters.scale(db, grant.who, workspace, found.id, body)


@router.delete("/{name}")
def stop(db: Db, workspace: str, name: str, grant: Runner) -> Cluster:
    found = _owned(db, grant, workspace, name, "cluster.stop")
    return clusters.stop(db, grant.who, workspace, found.id)


@router.get("/{name}/security")
def security(db: Db, settings: Settings, workspace: str, name: str, grant: Runner) -> Security:
    return clusters.security(db, settings, grant.who, workspace, name)


@router.get("/{name}/log")
def log(
    db: Db, workspace: str, name: str, grant: Reader, machine: str | None = None, after: Cursor = 0
) -> Page[LogLine]:
    found = _owned(db, grant, workspace, name, "cluster.log")
    items = clusters.log(db, workspace, found.id, machine, after)
    return Page(items=tuple(items), next=str(items[-1].id) if items else "")


def _owned(db: Db, grant: Grant, workspace: str, name: str, verb: str) -> Cluster:
    found = clusters.get(db, workspace, name)
    owner_or_manager(db, grant.who, workspace, grant.role, found.owner, verb)
    return found
