"""Named queries on views and their refreshes."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, case, delete, func, or_, select

from amasia.database.refreshes import LIVE
from amasia.database.rows import add, change, mapping, turn
from amasia.database.tables import commits, refreshes, repositories, views
from amasia.models.base import Model
from amasia.models.views import View, ViewStatus

_source = repositories.alias("source_repository")
_target = repositories.alias("target_repository")
_commit = commits.alias("source_commit")
_held = commits.alias("held_commit")


class Watch(Model):
    """What decides whether a view is due."""

    view: View
    seen: str
    """The source snapshot up to which the last refresh went, well or not."""
    failures: int


def _of_source(repository_id: Any) -> tuple[Any, ...]:
    """Commits that a view follows: those of the main branch, without the empty beginning."""
    return (
        _commit.c.repository_id == repository_id,
        _commit.c.branch == "main",
        _commit.c.status == "committed",
        _commit.c.parent != "",
    )


def _query() -> Select[Any]:
    newest = (
        select(_commit.c.snapshot)
        .where(*_of_source(views.c.source_id))
        .order_by(_commit.c.at.desc(), _commit.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    since = (
        select(func.max(_held.c.at))
        .where(_held.c.repository_id == views.c.source_id, _held.c.snapshot == views.c.snapshot)
        .scalar_subquery()
    )
    # A snapshot that is not indexed yet is newer than all that are: nothing lags behind it.
    later = or_(views.c.snapshot == "", _commit.c.at > since)
    lag = select(func.count()).where(*_of_source(views.c.source_id), later).scalar_subquery()
    live = select(func.count()).where(refreshes.c.view_id == views.c.id, refreshes.c.status.in_(LIVE)).scalar_subquery()
    return (
        select(
            views,
            (_source.c.workspace + "/" + _source.c.name).label("source"),
            (_target.c.workspace + "/" + _target.c.name).label("target"),
            func.coalesce(newest, "").label("newest"),
            lag.label("lag"),
            live.label("live"),
            case((views.c.paused, "paused"), else_="current").label("target_status"),
        )
        .join(_source, _source.c.id == views.c.source_id)
        .join(_target, _target.c.id == views.c.target_id)
    )


def _view(row: Any) -> View:
    found = dict(row)
    if found["live"]:
        status = ViewStatus.refreshing
    elif found["paused"]:
        status = ViewStatus.paused
    elif found["reason"]:
        status = ViewStatus.failed
    else:
        status = ViewStatus.behind if found["lag"] else ViewStatus.current
    return View.model_validate(found | {"status": status})


def create(tx: Connection, view: View, *, source_id: str, target_id: str, function: str) -> None:
    add(tx, views, view, source_id=source_id, target_id=target_id, function=function, paused=False, seen="",
        failures=0)  # fmt: skip


def find(tx: Connection, workspace: str, name: str) -> View | None:
    row = mapping(tx, _query().where(views.c.workspace == workspace, views.c.name == name))
    return None if row is None else _view(row)


def every_of(tx: Connection, workspace: str) -> list[View]:
    rows = tx.execute(_query().where(views.c.workspace == workspace).order_by(views.c.name)).mappings()
    return [_view(row) for row in rows]


def of_repository(tx: Connection, repository_id: str) -> list[View]:
    """Those that read it or write to it."""
    where = or_(views.c.source_id == repository_id, views.c.target_id == repository_id)
    return [_view(row) for row in tx.execute(_query().where(where).order_by(views.c.name)).mappings()]


def of_target_group(tx: Connection, target_id: str, group: str) -> View | None:
    row = mapping(tx, _query().where(views.c.target_id == target_id, views.c.target_group == group))
    return None if row is None else _view(row)


def edges(tx: Connection) -> list[tuple[str, str, str]]:
    """(view, source, target) of every view of every workspace, by their full names."""
    query = (
        select(
            views.c.workspace + "/" + views.c.name,
            _source.c.workspace + "/" + _source.c.name,
            _target.c.workspace + "/" + _target.c.name,
        )
        .join(_source, _source.c.id == views.c.source_id)
        .join(_target, _target.c.id == views.c.target_id)
    )
    return [(name, source, target) for name, source, target in tx.execute(query)]


def lock(tx: Connection, view_id: str) -> None:
    """Hold it until the end of the transaction, so that one refresh of it is decided on at a time."""
    tx.execute(select(views.c.id).where(views.c.id == view_id).with_for_update())


def function(tx: Connection, view_id: str) -> str:
    return str(tx.execute(select(views.c.function).where(views.c.id == view_id)).scalar_one())


def update(tx: Connection, view_id: str, **columns: Any) -> int:
    return change(tx, views, views.c.id == view_id, **columns)


def failures(tx: Connection, view_id: str) -> int:
    return int(tx.execute(select(views.c.failures).where(views.c.id == view_id)).scalar_one())


def remove(tx: Connection, view_id: str) -> None:
    tx.execute(delete(refreshes).where(refreshes.c.view_id == view_id))
    tx.execute(delete(views).where(views.c.id == view_id))


def waiting(tx: Connection, at: datetime) -> list[Watch]:
    """Those that refresh by themselves and may begin: neither paused, nor at it, nor told to wait."""
    free = or_(views.c.retry_at.is_(None), views.c.retry_at <= at)
    live = select(refreshes.c.id).where(refreshes.c.view_id == views.c.id, refreshes.c.status.in_(LIVE)).exists()
    query = _query().where(views.c.trigger != "manual", views.c.paused.is_(False), free, ~live)
    rows = tx.execute(query.order_by(turn(views.c.workspace, views.c.id), views.c.id)).mappings()
    return [Watch(view=_view(row), seen=row["seen"], failures=row["failures"]) for row in rows]


def held(tx: Connection, repository_id: str) -> list[tuple[str, datetime | None]]:
    """(snapshot, its time) that each view of a source holds; no time where it is not indexed."""
    query = (
        select(views.c.snapshot, func.max(commits.c.at))
        .outerjoin(commits, (commits.c.repository_id == views.c.source_id) & (commits.c.snapshot == views.c.snapshot))
        .where(views.c.source_id == repository_id, views.c.snapshot != "")
        .group_by(views.c.id, views.c.snapshot)
    )
    return [(snapshot, at) for snapshot, at in tx.execute(query)]


def commits_since(tx: Connection, repository_id: str, at: datetime) -> list[str]:
    query = select(_commit.c.snapshot).where(*_of_source(repository_id), _commit.c.at > at)
    return list(tx.execute(query).scalars())
