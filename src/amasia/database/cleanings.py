"""Named queries on cleanings, and on repositories that were deleted and still have objects."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, or_, select

from amasia.database.rows import add, change, every, one, turn
from amasia.database.tables import cleanings, graves, repositories
from amasia.models.repositories import Repository
from amasia.models.storage import Cleaning

_NAMED = select(
    cleanings, (repositories.c.workspace + "/" + repositories.c.name).label("repository")
).join(repositories, repositories.c.id == cleanings.c.repository_id)  # fmt: skip


def create(tx: Connection, repository_id: str, cleaning: Cleaning) -> None:
    add(tx, cleanings, cleaning, repository_id=repository_id)


def find(tx: Connection, repository_id: str) -> list[Cleaning]:
    """Newest first."""
    return every(tx, _of(repository_id).order_by(cleanings.c.requested_at.desc()).limit(100), Cleaning)


def get(tx: Connection, repository_id: str, cleaning_id: str) -> Cleaning | None:
    return one(tx, _of(repository_id).where(cleanings.c.id == cleaning_id), Cleaning)


def due(tx: Connection, expired_before: datetime) -> list[Cleaning]:
    """Asked for, or expired so long ago that what they left can be collected."""
    ripe = (cleanings.c.status == "expired") & (cleanings.c.finished_at < expired_before)
    query = _NAMED.where(or_(cleanings.c.status == "requested", ripe))
    oldest = cleanings.c.requested_at
    return every(tx, query.order_by(turn(repositories.c.workspace, oldest), oldest), Cleaning)


def update(tx: Connection, cleaning_id: str, **columns: Any) -> int:
    return change(tx, cleanings, cleanings.c.id == cleaning_id, **columns)


def bury(tx: Connection, repository: Repository, at: datetime) -> None:
    add(tx, graves, repository, repository_id=repository.id, deleted_at=at)


def buried(tx: Connection, before: datetime) -> list[Repository]:
    """Repositories that were deleted before a time, as they were."""
    query = select(graves, graves.c.repository_id.label("id")).where(graves.c.deleted_at < before)
    rows = [dict(row) | {"status": "ready"} for row in tx.execute(query).mappings()]
    return [Repository.model_validate(row) for row in rows]


def forget(tx: Connection, repository_id: str) -> None:
    tx.execute(delete(graves).where(graves.c.repository_id == repository_id))


def _of(repository_id: str) -> Select[Any]:
    return _NAMED.where(cleanings.c.repository_id == repository_id)
