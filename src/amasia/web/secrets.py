"""Secrets of a workspace: which there are, and a form that takes what no page shows again."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from amasia import errors
from amasia.client.inputs import request as read
from amasia.database.engine import Database
from amasia.models.grants import EVERYONE
from amasia.models.permissions import Permission
from amasia.models.secrets import Named, SecretRequest
from amasia.services import groups, limits, secrets
from amasia.web import pages
from amasia.web.access import Db, Grant, Runner, Settings

router = APIRouter(prefix="/{workspace}/secrets")


@router.get("")
def get(request: Request, db: Db, grant: Runner, workspace: str) -> Response:
    return _page(request, db, grant, workspace)


@router.post("")
def put(
    request: Request,
    db: Db,
    settings: Settings,
    grant: Runner,
    workspace: str,
    name: Annotated[str, Form()] = "",
    value: Annotated[str, Form()] = "",
    grantee: Annotated[str, Form()] = "",
) -> Response:
    try:
        name = read(Named, name=name.strip()).name
        wish = read(SecretRequest, value=value, grantee=grantee or None)
        most = limits.in_force(db, settings, workspace).secrets
        secrets.put(db, grant.who, grant.role, workspace, name, wish, most=most)
    except (errors.NotFound, errors.TooLarge) as error:
        return _page(request, db, grant, workspace, name, error)
    except errors.InvalidRequest as error:
        told = errors.InvalidRequest(error.message, cure="Correct it, and type the value again.")
        return _page(request, db, grant, workspace, name, told)
    return RedirectResponse(f"/{workspace}/secrets", status_code=303)


@router.post("/remove")
def remove(
    db: Db, grant: Runner, workspace: str, name: Annotated[str, Form()], grantee: Annotated[str, Form()]
) -> Response:
    secrets.remove(db, grant.who, grant.role, workspace, name, grantee)
    return RedirectResponse(f"/{workspace}/secrets", status_code=303)


def _page(
    request: Request,
    db: Database,
    grant: Grant,
    workspace: str,
    name: str = "",
    error: errors.AmasiaError | None = None,
) -> Response:
    manages = grant.may(Permission.manage)
    others = [EVERYONE, *(f"group:{group.name}" for group in groups.find(db, workspace))] if manages else []
    return pages.render(
        request,
        "secrets.html",
        status=error.status if error else 200,
        **pages.place(db, grant, workspace, "people"),
        found=secrets.find(db, grant.who, grant.role, workspace),
        own=secrets.own(db, grant.who),
        others=others,
        manages=manages,
        name=name,
        error=error,
    )
