"""Environments and their artifacts."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from amasia import errors
from amasia.api.access import Db, Grant, may
from amasia.models.environments import Environment, EnvironmentRecord
from amasia.models.permissions import Permission
from amasia.models.users import Scope
from amasia.services import environments
from amasia.services.access import PEOPLE

router = APIRouter(prefix="/workspaces/{workspace}", tags=["environments"])

MACHINES = PEOPLE | {Scope.machine}


@router.put("/environments/{digest}")
def put(
    db: Db,
    workspace: str,
    digest: str,
    grant: Annotated[Grant, may(Permission.write, "environment.create")],
    body: Environment,
) -> EnvironmentRecord:
    return environments.put(db, grant.who, workspace, digest, body)


@router.get("/environments/{digest}", dependencies=[may(Permission.read, "environment.get", MACHINES)])
def get(db: Db, workspace: str, digest: str) -> EnvironmentRecord:
    return environments.get(db, workspace, digest)


async def limited_body(request: Request) -> bytes:
    """The body, refused as soon as it is seen to be too long."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > environments.MAX_ARTIFACT:
            raise errors.InvalidRequest(
                f"The artifact has more than {environments.MAX_ARTIFACT} bytes.",
                cure="Keep data out of the package, in a repository.",
            )
        parts.append(part)
    return b"".join(parts)


@router.put("/artifacts/{digest}", status_code=204)
async def put_artifact(
    db: Db,
    workspace: str,
    digest: str,
    grant: Annotated[Grant, may(Permission.write, "artifact.create")],
    request: Request,
) -> None:
    content = await limited_body(request)
    await run_in_threadpool(environments.put_artifact, db, grant.who, workspace, digest, content)


@router.get("/artifacts/{digest}", dependencies=[may(Permission.read, "artifact.get", MACHINES)])
def get_artifact(db: Db, workspace: str, digest: str) -> Response:
    return Response(environments.artifact(db, workspace, digest), media_type="application/octet-stream")
