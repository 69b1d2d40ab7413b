"""The audit trail, for those who may see it."""

from amasia.database import events as rows
from amasia.database.engine import Database
from amasia.models.events import Event


def find(db: Database, workspace: str, before: int | None, limit: int = 100) -> list[Event]:
    """Newest first."""
    with db.read() as tx:
        return rows.page(tx, workspace, before, limit)
