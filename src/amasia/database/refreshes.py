"""Named queries on refreshes of views."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, or_, select

from amasia.database.rows import add, change, every, mapping, one, turn
from amasia.database.tables import charges, clusters, refreshes, views
from amasia.models.base import Model
from amasia.models.views import Refresh

LIVE = ("requested", "running")
_REFRESH = select(refreshes, views.c.name.label("view"), views.c.workspace).join(
    views, views.c.id == refreshes.c.view_id
)


class Hold(Model):
    """Who has begun a refresh, and until when that counts."""

    view_id: str
    claim_hash: str
    claimed_until: datetime | None


def create(tx: Connection, view_id: str, refresh: Refresh) -> None:
    add(tx, refreshes, refresh, view_id=view_id, claim_hash="")


def find(tx: Connection, view_id: str, refresh_id: str) -> Refresh | None:
    return one(tx, _REFRESH.where(refreshes.c.view_id == view_id, refreshes.c.id == refresh_id), Refresh)


def live(tx: Connection, view_id: str) -> Refresh | None:
    """The one that is wished for or at work."""
    return one(tx, _REFRESH.where(refreshes.c.view_id == view_id, refreshes.c.status.in_(LIVE)), Refresh)


def hold(tx: Connection, refresh_id: str) -> Hold:
    row = mapping(tx, select(refreshes).where(refreshes.c.id == refresh_id).with_for_update())
    assert row is not None
    return Hold.model_validate(dict(row))


def every_live(tx: Connection) -> list[Refresh]:
    """Workspaces in turn."""
    oldest = refreshes.c.requested_at
    query = _REFRESH.where(refreshes.c.status.in_(LIVE))
    return every(tx, query.order_by(turn(views.c.workspace, oldest), oldest), Refresh)


def page(tx: Connection, view_id: str, limit: int, before: str = "") -> list[Refresh]:
    """Newest first; those that come after one's id in that order."""
    query = _REFRESH.where(refreshes.c.view_id == view_id)
    if before:
        at = select(refreshes.c.requested_at).where(refreshes.c.id == before).scalar_subquery()
        query = query.where(
            or_(refreshes.c.requested_at < at, (refreshes.c.requested_at == at) & (refreshes.c.id < before))
        )
    return every(tx, query.order_by(refreshes.c.requested_at.desc(), refreshes.c.id.desc()).limit(limit), Refresh)


def update(tx: Connection, refresh_id: str, **columns: Any) -> int:
    """Change one that has not ended; 0 where it has."""
    return change(tx, refreshes, refreshes.c.id == refresh_id, refreshes.c.status.in_(LIVE), **columns)


def place(tx: Connection, refresh_id: str, cluster_id: str) -> int:
    """Give machines to one that still waits for them; 0 where it does not."""
    waiting = (refreshes.c.status == "requested", refreshes.c.cluster_id.is_(None))
    return change(tx, refreshes, refreshes.c.id == refresh_id, *waiting, cluster_id=cluster_id)


def cost(tx: Connection, refresh: Refresh) -> tuple[int, int]:
    """(amount, milliseconds) charged for all the clusters that were made for it."""
    query = (
        select(func.coalesce(func.sum(charges.c.amount), 0), func.coalesce(func.sum(charges.c.milliseconds), 0))
        .join(clusters, clusters.c.id == charges.c.cluster_id)
        .where(clusters.c.workspace == refresh.workspace, clusters.c.name.startswith(f"{refresh.id}-"))
    )
    amount, time = tx.execute(query).one()
    return int(amount), int(time)
