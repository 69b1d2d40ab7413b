"""Views: wish for a refresh where one is due, and follow each that is not over."""

import structlog

from amasia.database.engine import Database
from amasia.services import refreshes
from amasia.settings import ServerSettings

log = structlog.get_logger()


def reconcile(db: Database, settings: ServerSettings) -> None:
    refreshes.wish_due(db)
    for refresh in refreshes.live(db):
        try:
            refreshes.follow(db, settings, refresh)
        except Exception:
            # One that cannot be followed keeps no other one from its turn.
            log.exception("refresh could not be followed", view=refresh.view, refresh=refresh.id)
