"""Named queries on repositories and their commits."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select

from amasia.database.rows import add, change, every, one
from amasia.database.tables import commits, publications, repositories, snapshot_sizes
from amasia.models.repositories import Commit, Repository

COMMIT = (
    select(commits, (repositories.c.workspace + "/" + repositories.c.name).label("repository"), snapshot_sizes.c.nbytes)
    .join(repositories, repositories.c.id == commits.c.repository_id)
    .outerjoin(
        snapshot_sizes,
        and_(
            snapshot_sizes.c.repository_id == commits.c.repository_id,
            snapshot_sizes.c.snapshot == commits.c.snapshot,
        ),
    )
)


def create(tx: Connection, repository: Repository) -> None:
    add(tx, repositories, repository)


def find(tx: Connection, workspace: str, name: str) -> Repository | None:
    query = select(repositories).where(repositories.c.workspace == workspace, repositories.c.name == name)
    return one(tx, query, Repository)


def every_of(tx: Connection, workspace: str, *where: ColumnElement[bool]) -> list[Repository]:
    query = select(repositories).where(repositories.c.workspace == workspace, *where).order_by(repositories.c.name)
    return every(tx, query, Repository)


def requested(tx: Connection) -> list[Repository]:
    return every(tx, select(repositories).where(repositories.c.status == "requested"), Repository)


def stale(tx: Connection, before: datetime) -> list[Repository]:
    """Ready ones whose history changed, or may have, since some time before."""
    query = select(repositories).where(repositories.c.status == "ready", repositories.c.stale_since < before)
    return every(tx, query, Repository)


def update(tx: Connection, repository_id: str, **columns: Any) -> int:
    return change(tx, repositories, repositories.c.id == repository_id, **columns)


def indexed(tx: Connection, repository_id: str, read_at: datetime) -> None:
    """Its index is true as of a time; what was marked after that stays marked."""
    where = (repositories.c.id == repository_id, repositories.c.stale_since <= read_at)
    change(tx, repositories, *where, stale_since=None)


def mark_lent(tx: Connection, since: datetime) -> None:
    """Those that somebody may write to, and may since a time have written to, become stale."""
    where = (repositories.c.status == "ready", repositories.c.stale_since.is_(None), repositories.c.lent_until > since)
    change(tx, repositories, *where, stale_since=since)


def remove(tx: Connection, repository_id: str) -> None:
    tx.execute(delete(commits).where(commits.c.repository_id == repository_id))
    tx.execute(delete(publications).where(publications.c.repository_id == repository_id))
    tx.execute(delete(repositories).where(repositories.c.id == repository_id))


def begin_commit(tx: Connection, repository_id: str, cluster_id: str | None, commit: Commit) -> None:
    provenance = commit.provenance
    add(
        tx,
        commits,
        commit,
        repository_id=repository_id,
        cluster_id=cluster_id,
        amount=provenance.amount if provenance else 0,
        milliseconds=provenance.milliseconds if provenance else 0,
    )


def find_commit(tx: Connection, repository_id: str, commit_id: str) -> Commit | None:
    return one(tx, COMMIT.where(commits.c.id == commit_id, commits.c.repository_id == repository_id), Commit)


def update_commit(tx: Connection, commit_id: str, **columns: Any) -> int:
    return change(tx, commits, commits.c.id == commit_id, **columns)


def begun_before(tx: Connection, repository_id: str, before: datetime) -> list[Commit]:
    query = COMMIT.where(commits.c.repository_id == repository_id, commits.c.status == "begun", commits.c.at < before)
    return every(tx, query, Commit)


def snapshots(tx: Connection, repository_id: str) -> set[str]:
    """Those that were seen in the history."""
    query = select(commits.c.snapshot).where(commits.c.repository_id == repository_id, commits.c.status == "committed")
    return set(tx.execute(query).scalars())


def history(tx: Connection, repository_id: str, limit: int, after: str = "") -> list[Commit]:
    """Committed ones, newest first; those that come after a commit's id in that order."""
    query = COMMIT.where(commits.c.repository_id == repository_id, commits.c.status == "committed")
    if after:
        at = select(commits.c.at).where(commits.c.id == after).scalar_subquery()
        query = query.where(or_(commits.c.at < at, and_(commits.c.at == at, commits.c.id < after)))
    return every(tx, query.order_by(commits.c.at.desc(), commits.c.id.desc()).limit(limit), Commit)


def newest(tx: Connection, workspace: str) -> list[Commit]:
    """The newest commit of each repository."""
    other = commits.alias()
    last = select(other.c.id).where(other.c.repository_id == repositories.c.id, other.c.status == "committed")
    last = last.order_by(other.c.at.desc(), other.c.id.desc()).limit(1)
    ids = select(last.correlate(repositories).scalar_subquery()).where(repositories.c.workspace == workspace)
    return every(tx, COMMIT.where(commits.c.id.in_(ids)), Commit)


def attributed(tx: Connection, cluster_id: str) -> tuple[int, int]:
    """(amount, milliseconds) of a cluster that commits carry already, begun ones too."""
    query = select(
        func.coalesce(func.sum(commits.c.amount), 0), func.coalesce(func.sum(commits.c.milliseconds), 0)
    ).where(commits.c.cluster_id == cluster_id, commits.c.status != "abandoned")
    amount, time = tx.execute(query).one()
    return int(amount), int(time)
