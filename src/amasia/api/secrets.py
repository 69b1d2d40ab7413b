"""Secrets of a workspace: no route here gives one back."""

from typing import Annotated

from fastapi import APIRouter

from amasia.api.access import Db, Grant, Settings, may
from amasia.models.base import Page
from amasia.models.grants import Grantee
from amasia.models.permissions import Permission
from amasia.models.secrets import Secret, SecretName, SecretRequest
from amasia.services import limits, secrets

router = APIRouter(prefix="/workspaces/{workspace}/secrets", tags=["secrets"])


@router.get("")
def find(db: Db, workspace: str, grant: Annotated[Grant, may(Permission.run, "secret.list")]) -> Page[Secret]:
    return Page(items=tuple(secrets.find(db, grant.who, grant.role, workspace)))


@router.put("/{name}")
def put(
    db: Db,
    settings: Settings,
    workspace: str,
    name: SecretName,
    grant: Annotated[Grant, may(Permission.run, "secret.set")],
    body: SecretRequest,
) -> Secret:
    most = limits.in_force(db, settings, workspace).secrets
    return secrets.put(db, grant.who, grant.role, workspace, name, body, most=most)


@router.delete("/{name}", status_code=204)
def remove(
    db: Db,
    workspace: str,
    name: SecretName,
    grant: Annotated[Grant, may(Permission.run, "secret.remove")],
    grantee: Grantee | None = None,
) -> None:
    secrets.remove(db, grant.who, grant.role, workspace, name, grantee)
