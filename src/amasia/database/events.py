"""Named queries on the audit trail."""

from typing import Any

from sqlalchemy import Connection, select

from amasia.database.rows import add, every
from amasia.database.tables import events
from amasia.models.base import now
from amasia.models.events import Event, Outcome


def append(
    tx: Connection,
    *,
    actor: str,
    verb: str,
    target: str,
    workspace: str | None,
    source: str = "",
    outcome: Outcome = Outcome.done,
    **detail: Any,
) -> None:
    add(tx, events, at=now(), workspace=workspace, actor=actor, verb=verb, target=target, outcome=outcome,
        source=source, detail=detail)  # fmt: skip


def page(tx: Connection, workspace: str, before: int | None, limit: int) -> list[Event]:
    """Newest first."""
    query = select(events).where(events.c.workspace == workspace)
    if before is not None:
        query = query.where(events.c.id < before)
    return every(tx, query.order_by(events.c.id.desc()).limit(limit), Event)
