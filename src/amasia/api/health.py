"""Whether this control plane is well."""

from fastapi import APIRouter, Request

from amasia import __version__
from amasia.api.access import Db, anyone
from amasia.models.health import Health

router = APIRouter(tags=["health"])


@router.get("/health", dependencies=[anyone()])
def health(db: Db, request: Request) -> Health:
    with db.read() as tx:
        tx.exec_driver_sql("SELECT 1")
    store, reconcilers = request.app.state.health()
    return Health(ok=bool(store), version=__version__, database=db.dialect, store=store, reconcilers=reconcilers)
