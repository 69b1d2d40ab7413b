"""Named queries on what repositories take up and what that costs."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, literal, not_, or_, select

from amasia.database import costs
from amasia.database.repositories import COMMIT
from amasia.database.rows import add, change, every, mapping, one, turn
from amasia.database.tables import commits, repositories, snapshot_sizes, storage, storage_charges, storage_costs
from amasia.models.costs import Span
from amasia.models.repositories import Commit, Repository
from amasia.models.storage import SnapshotStorage, Storage, StorageCharge, StorageLine

_NAME = (repositories.c.workspace + "/" + repositories.c.name).label("repository")


def find(tx: Connection, repository_id: str) -> Storage | None:
    query = select(storage, _NAME).join(repositories, repositories.c.id == storage.c.repository_id)
    return one(tx, query.where(storage.c.repository_id == repository_id), Storage)


def account(tx: Connection, repository_id: str) -> RowMapping | None:
    """As it is kept, with what is charged already."""
    return mapping(tx, select(storage).where(storage.c.repository_id == repository_id))


def put(tx: Connection, repository_id: str, **columns: Any) -> None:
    if not change(tx, storage, storage.c.repository_id == repository_id, **columns):
        add(tx, storage, repository_id=repository_id, **columns)


def unsized(tx: Connection, limit: int) -> list[tuple[str, Commit]]:
    """(repository id, commit) of those of which nobody found out what they added, newest first."""
    unknown = (commits.c.status == "committed", snapshot_sizes.c.snapshot.is_(None))
    query = COMMIT.where(*unknown).order_by(turn(repositories.c.workspace, commits.c.at.desc()), commits.c.at.desc())
    rows = tx.execute(query.limit(limit)).mappings()
    return [(row["repository_id"], Commit.model_validate(dict(row))) for row in rows]


def put_size(tx: Connection, repository_id: str, snapshot: str, nbytes: int | None, chunks_nbytes: int | None) -> None:
    where = (snapshot_sizes.c.repository_id == repository_id, snapshot_sizes.c.snapshot == snapshot)
    if not change(tx, snapshot_sizes, *where, nbytes=nbytes, chunks_nbytes=chunks_nbytes):
        add(tx, snapshot_sizes, repository_id=repository_id, snapshot=snapshot, nbytes=nbytes,
            chunks_nbytes=chunks_nbytes)  # fmt: skip


def sizes(tx: Connection, repository_id: str) -> list[SnapshotStorage]:
    """What each snapshot added of which that is known, newest first, not yet with its cost."""
    query = (
        select(commits.c.snapshot, commits.c.message, commits.c.at, snapshot_sizes.c.nbytes,
               snapshot_sizes.c.chunks_nbytes, literal(0).label("amount"))
        .join(snapshot_sizes, and_(snapshot_sizes.c.repository_id == commits.c.repository_id,
                                   snapshot_sizes.c.snapshot == commits.c.snapshot))
        .where(commits.c.repository_id == repository_id, commits.c.status == "committed",
               snapshot_sizes.c.nbytes.is_not(None))
        .order_by(commits.c.at.desc(), commits.c.id.desc())
    )  # fmt: skip
    return every(tx, query, SnapshotStorage)


def charged(tx: Connection, repository_id: str) -> list[tuple[datetime, int, int]]:
    """(start, bytes, amount) of each of a repository's charges, newest first."""
    query = select(storage_charges.c.start, storage_charges.c.nbytes, storage_charges.c.amount)
    rows = tx.execute(
        query.where(storage_charges.c.repository_id == repository_id).order_by(storage_charges.c.id.desc())
    )
    return [(row.start, row.nbytes, row.amount) for row in rows]


def due(tx: Connection, before: datetime, limit: int) -> list[Repository]:
    """Repositories that were not measured since a time, the longest first, workspaces in turn."""
    oldest = (storage.c.measured_at.is_not(None), storage.c.measured_at)
    query = (
        select(repositories)
        .join(storage, storage.c.repository_id == repositories.c.id, isouter=True)
        .where(repositories.c.status == "ready")
        .where(or_(storage.c.measured_at.is_(None), storage.c.measured_at < before))
        .order_by(turn(repositories.c.workspace, *oldest), *oldest)
    )
    return every(tx, query.limit(limit), Repository)


def charge(tx: Connection, item: StorageCharge, day: str) -> None:
    """Write it down, and add it to the sums of its day; whoever does holds the workspace's money."""
    add(tx, storage_charges, **item.model_dump(exclude={"id"}))
    costs.add_storage(tx, item.workspace, item.repository_id, item.repository, day, item.amount)


def charges(tx: Connection, workspace: str, after: int, limit: int) -> list[StorageCharge]:
    query = select(storage_charges).where(storage_charges.c.workspace == workspace, storage_charges.c.id > after)
    return every(tx, query.order_by(storage_charges.c.id).limit(limit), StorageCharge)


def lines(tx: Connection, workspace: str, span: Span, visible: ColumnElement[bool]) -> list[StorageLine]:
    """The size now and the cost of each repository that one may see; of those that were deleted the cost only."""
    hidden = select(repositories.c.id).where(not_(visible))
    sums = select(
        storage_costs.c.repository_id,
        func.max(storage_costs.c.repository).label("repository"),
        func.sum(storage_costs.c.amount).label("amount"),
    ).where(*costs.within(storage_costs, workspace, span), storage_costs.c.repository_id.not_in(hidden))
    sums = sums.group_by(storage_costs.c.repository_id)
    spent = {row.repository_id: (row.repository, int(row.amount)) for row in tx.execute(sums)}
    sizes = select(repositories.c.id, repositories.c.name, storage.c.nbytes, storage.c.measured_at).join(
        storage, storage.c.repository_id == repositories.c.id
    )
    now = {row.id: row for row in tx.execute(sizes.where(repositories.c.workspace == workspace, visible))}
    found = [
        StorageLine(key=row.name, nbytes=row.nbytes, amount=spent.get(one, ("", 0))[1], measured_at=row.measured_at)
        for one, row in now.items()
    ]
    gone = [StorageLine(key=name, nbytes=0, amount=amount) for one, (name, amount) in spent.items() if one not in now]
    return sorted([*found, *gone], key=lambda line: line.key)


def beyond_reach(tx: Connection, workspace: str, visible: ColumnElement[bool]) -> list[tuple[str, int, int]]:
    """(repository, bytes, bytes of them that a branch or tag reaches) of each that one may see."""
    query = (
        select(repositories.c.name, storage.c.nbytes, storage.c.chunks_nbytes)
        .join(storage, storage.c.repository_id == repositories.c.id)
        .where(repositories.c.workspace == workspace, repositories.c.status == "ready", visible)
        .order_by(repositories.c.name)
    )
    return [(row.name, row.nbytes, row.chunks_nbytes) for row in tx.execute(query)]
