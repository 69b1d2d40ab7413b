"""How the control plane is, for its operators."""

from fastapi import APIRouter, Request, Response

from amasia import __version__
from amasia.services import access
from amasia.services import health as verbs
from amasia.web import pages
from amasia.web.access import Db, Settings, Who

router = APIRouter(prefix="/-")


@router.get("/health")
def health(request: Request, db: Db, settings: Settings, who: Who) -> Response:
    access.require_operator(db, who, "health.get")
    store, _ = request.app.state.health()
    found = verbs.get(db, settings, __version__, store=store, rounds=request.app.state.rounds())
    return pages.render(request, "health.html", who=who, health=found)
