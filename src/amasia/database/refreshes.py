"""Named queries on refreshes of views."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, or_, select

from amasia.database.rows import add, change, every, mapping, one, turn
from amasia.database.tables import cluster_costs, clusters, refreshes, views
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


def costs(tx: Connection, workspace: str, ids: Iterable[str]) -> dict[str, tuple[int, int]]:
    """(amount, milliseconds) charged for all the clusters that were made for each refresh."""
    found = dict.fromkeys(ids, (0, 0))
    if not found:
        return found
    own = or_(*(clusters.c.name.startswith(f"{one}-") for one in found))
    query = (
        select(clusters.c.name, func.sum(cluster_costs.c.amount), func.sum(cluster_costs.c.milliseconds))
        .join(clusters, clusters.c.id == cluster_costs.c.cluster_id)
        .where(cluster_costs.c.workspace == workspace, clusters.c.workspace == workspace, own)
        .group_by(clusters.c.name)
    )
    for name, amount, time in tx.execute(query):
        refresh = name.rpartition("-")[0]
        if refresh in found:  # people may call clusters what they like
            before, earlier = found[refresh]
            found[refresh] = (before + int(amount), earlier + int(time))
    return found


def newest(tx: Connection, workspace: str) -> list[Refresh]:
    """The newest of each view."""
    other = refreshes.alias()
    last = select(other.c.id).where(other.c.view_id == views.c.id)
    last = last.order_by(other.c.requested_at.desc(), other.c.id.desc()).limit(1)
    ids = select(last.correlate(views).scalar_subquery()).where(views.c.workspace == workspace)
    return every(tx, _REFRESH.where(refreshes.c.id.in_(ids)), Refresh)
