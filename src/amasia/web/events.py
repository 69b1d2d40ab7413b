"""The audit trail of a workspace; for whoever may not audit it, what they did themselves."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from amasia.models.base import Cursor
from amasia.models.events import EventFilter, Outcome
from amasia.services import events
from amasia.web import pages
from amasia.web.access import Db, Doer

router = APIRouter()

SHOWN = 50
Text = Annotated[str, Query(max_length=500)]


@router.get("/{workspace}/audit")
def audit(
    request: Request,
    db: Db,
    grant: Doer,
    workspace: str,
    actor: Text = "",
    verb: Text = "",
    outcome: Text = "",
    before: Cursor | None = None,
) -> Response:
    chosen = Outcome(outcome) if outcome in set(Outcome) else None
    wanted = EventFilter(actor=actor.strip() or None, verb=verb.strip() or None, outcome=chosen)
    found = events.seen(db, grant.who, grant.role, workspace, before, SHOWN, wanted)
    return pages.render(
        request,
        "audit.html",
        **pages.place(db, grant, workspace, "audit"),
        events=found,
        newest=before is None,
        older=found[-1].id if len(found) == SHOWN else None,
        head=events.head(db, workspace) if grant.may("audit") else None,
        asked={"actor": actor, "verb": verb, "outcome": chosen.value if chosen else ""},
        outcomes=[one.value for one in Outcome],
    )
