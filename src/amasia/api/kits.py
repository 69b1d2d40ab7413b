"""The kit: what a bare machine fetches to become one of ours. No secrets are in it, so anybody may have it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, PlainTextResponse

from amasia import errors
from amasia.api.access import anyone
from amasia.environments.kits import Kit

router = APIRouter(prefix="/kit", tags=["machines"])


def kit(request: Request) -> Kit:
    found: Kit | None = request.app.state.kit()
    if found is None:
        raise errors.Unavailable("The kit of machines is not made yet.", cure="Ask again in a few seconds.")
    return found


@router.get("", dependencies=[anyone()], response_class=PlainTextResponse)
def name(kit: Annotated[Kit, Depends(kit)]) -> str:
    """Its name and the file name of its wheel, for a shell to read."""
    return f"{kit.name} {kit.wheel}\n"


@router.get("/{kit_name}/{file}", dependencies=[anyone()], response_class=FileResponse)
def file(kit: Annotated[Kit, Depends(kit)], kit_name: str, file: str) -> FileResponse:
    if kit_name != kit.name or file not in kit.files:
        raise errors.NotFound(
            f"The kit {kit.name} has no file {file!r} for {kit_name!r}.", cure="GET /v1/kit names the present one."
        )
    return FileResponse(kit.home / file, media_type="application/octet-stream")
