"""Whether this control plane is well, and for its operators how it is."""

from fastapi import APIRouter, Request

from amasia import __version__
from amasia.api.access import Db, Settings, anyone, operator
from amasia.models.health import Health, ServiceHealth
from amasia.services import health as verbs

router = APIRouter(tags=["health"])


@router.get("/health", dependencies=[anyone()])
def health(db: Db, request: Request) -> Health:
    with db.read() as tx:
        tx.exec_driver_sql("SELECT 1")
    store, reconcilers = request.app.state.health()
    return Health(ok=bool(store), version=__version__, database=db.dialect, store=store, reconcilers=reconcilers)


@router.get("/health/service", dependencies=[operator("health.get")])
def service(db: Db, settings: Settings, request: Request) -> ServiceHealth:
    store, _ = request.app.state.health()
    return verbs.get(db, settings, __version__, store=store, rounds=request.app.state.rounds())
