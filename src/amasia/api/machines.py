"""What agents say: here I am, and I am still here. Those who speak at the same time are heard together."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from amasia.api.access import Db, Settings, anyone, itself, itself_by, principal
from amasia.api.gatherings import Crowd, Gathering
from amasia.database.engine import Database
from amasia.models.base import Model
from amasia.models.machines import Assignment, Heartbeat, Join, Wishes
from amasia.models.secrets import Lent
from amasia.models.users import Principal
from amasia.services import access, crowds, heartbeats, joins, secrets
from amasia.services.crowds import Told
from amasia.settings import ServerSettings

router = APIRouter(prefix="/machines", tags=["machines"])


def install(app: FastAPI, db: Database, settings: ServerSettings) -> None:
    """What gathers the agents' words, in the state of the application."""
    crowd = Crowd(db)

    def join_all(said: Sequence[Join]) -> Sequence[Assignment | None]:
        return joins.join_all(db, settings, said)

    def hear_all(said: Sequence[Told]) -> Sequence[Wishes | None]:
        return crowds.hear(db, settings, said, crowd.size)

    app.state.joins = Gathering[Join, Assignment](crowd, join_all)
    app.state.heartbeats = Gathering[Told, Wishes](crowd, hear_all)


@router.post("/join", dependencies=[anyone()], response_model=Assignment)
async def join(request: Request, body: Join) -> Response:
    """Open to anyone who holds the machine's join token, which is in the body and works once."""
    assignment = await request.app.state.joins.ask(body)
    if assignment is None:
        state = request.app.state
        assignment = await run_in_threadpool(joins.join, state.db, state.settings, body)
    return _answer(assignment)


@router.post("/{machine_id}/assignment", dependencies=[itself()])
def assignment(db: Db, settings: Settings, machine_id: str) -> Assignment:
    """What a machine that was kept warm is for, when a cluster has taken it."""
    return joins.assignment(db, settings, machine_id)


@router.post("/{machine_id}/secrets")
def lend(db: Db, machine_id: str, who: Annotated[Principal, itself()]) -> Lent:
    """What the machine's processes find in their environment."""
    return secrets.lend(db, who, machine_id)


@router.post("/{machine_id}/heartbeat", response_model=Wishes)
async def heartbeat(
    request: Request, machine_id: str, body: Heartbeat, digest: Annotated[str, itself_by()]
) -> Response:
    wishes = await request.app.state.heartbeats.ask(Told(machine_id, digest, body))
    if wishes is None:
        wishes = await run_in_threadpool(_hear, request, machine_id, body)
    return _answer(wishes)


def _answer(model: Model) -> Response:
    """It is valid already, and written once."""
    return Response(model.model_dump_json(), media_type="application/json")


def _hear(request: Request, machine_id: str, body: Heartbeat) -> Wishes:
    db = request.app.state.db
    access.require_machine(db, principal(request, db), machine_id)
    return heartbeats.hear(db, request.app.state.settings, machine_id, body)
