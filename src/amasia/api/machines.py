"""What agents say: here I am, and I am still here."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from amasia.api.access import Db, Settings, anyone, itself_by, principal
from amasia.models.machines import Assignment, Heartbeat, Join, Wishes
from amasia.services import access, machines
from amasia.services.heartbeats import Told

router = APIRouter(prefix="/machines", tags=["machines"])


@router.post("/join", dependencies=[anyone()])
def join(db: Db, settings: Settings, body: Join) -> Assignment:
    """Open to anyone who holds the machine's join token, which is in the body and works once."""
    return machines.join(db, settings, body)


@router.post("/{machine_id}/heartbeat", response_model=Wishes)
async def heartbeat(
    request: Request, machine_id: str, body: Heartbeat, digest: Annotated[str, itself_by()]
) -> Response:
    wishes = await request.app.state.beats.hear(Told(machine_id, digest, body))
    if wishes is None:
        wishes = await run_in_threadpool(_hear, request, machine_id, body)
    return Response(wishes.model_dump_json(), media_type="application/json")


def _hear(request: Request, machine_id: str, body: Heartbeat) -> Wishes:
    db = request.app.state.db
    access.require_machine(principal(request, db), machine_id)
    return machines.heartbeat(db, request.app.state.settings, machine_id, body)
