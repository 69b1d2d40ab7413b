"""What agents say: here I am, and I am still here."""

from fastapi import APIRouter

from amasia.api.access import Db, Settings, anyone, itself
from amasia.models.machines import Assignment, Heartbeat, Join, Wishes
from amasia.services import machines

router = APIRouter(prefix="/machines", tags=["machines"])


@router.post("/join", dependencies=[anyone()])
def join(db: Db, settings: Settings, body: Join) -> Assignment:
    """Open to anyone who holds the machine's join token, which is in the body and works once."""
    return machines.join(db, settings, body)


@router.post("/{machine_id}/assignment", dependencies=[itself()])
def assignment(db: Db, settings: Settings, machine_id: str) -> Assignment:
    """What a machine that was kept warm is for, when a cluster has taken it."""
    return machines.assignment(db, settings, machine_id)


@router.post("/{machine_id}/heartbeat", dependencies=[itself()])
def heartbeat(db: Db, settings: Settings, machine_id: str, body: Heartbeat) -> Wishes:
    return machines.heartbeat(db, settings, machine_id, body)
