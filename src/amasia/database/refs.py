"""Named queries on branches and tags, and on the line of commits that one of them means."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, literal, select

from amasia.database.repositories import COMMIT
from amasia.database.rows import add, change, every
from amasia.database.tables import commits, refs
from amasia.models.refs import Ref
from amasia.models.repositories import Commit

DEEP = 1_000_000


def find(tx: Connection, repository_id: str) -> list[Ref]:
    query = select(refs).where(refs.c.repository_id == repository_id).order_by(refs.c.kind, refs.c.name)
    return every(tx, query, Ref)


def put(tx: Connection, repository_id: str, ref: Ref) -> None:
    remove(tx, repository_id, ref)
    add(tx, refs, ref, repository_id=repository_id)


def remove(tx: Connection, repository_id: str, ref: Ref) -> None:
    where = (refs.c.repository_id == repository_id, refs.c.kind == ref.kind.value, refs.c.name == ref.name)
    tx.execute(delete(refs).where(*where))


def replace(tx: Connection, repository_id: str, found: Iterable[Ref]) -> None:
    tx.execute(delete(refs).where(refs.c.repository_id == repository_id))
    for ref in found:
        add(tx, refs, ref, repository_id=repository_id)


def line(tx: Connection, repository_id: str, snapshot: str, limit: int = DEEP) -> list[Commit]:
    """The commit of a snapshot and those before it, newest first."""
    walk = (
        select(commits.c.id, commits.c.parent, literal(1).label("depth"))
        .where(commits.c.repository_id == repository_id, commits.c.snapshot == snapshot, _landed())
        .cte("walk", recursive=True)
    )
    walk = walk.union_all(
        select(commits.c.id, commits.c.parent, walk.c.depth + 1)
        .join(walk, commits.c.snapshot == walk.c.parent)
        .where(commits.c.repository_id == repository_id, walk.c.depth < limit, walk.c.parent != "", _landed())
    )
    return every(tx, COMMIT.join(walk, walk.c.id == commits.c.id).order_by(walk.c.depth).limit(limit), Commit)


def at(tx: Connection, repository_id: str, tip: str, when: datetime) -> str:
    """The newest snapshot of a line at a time; empty where it had not begun."""
    return next((commit.snapshot for commit in line(tx, repository_id, tip) if commit.at <= when), "")


def reported(tx: Connection, repository_id: str, branch: str | None = None) -> list[Commit]:
    """Commits that their makers say have landed, and that no look into the history has come to yet; newest first."""
    query = COMMIT.where(
        commits.c.repository_id == repository_id, commits.c.status == "begun", commits.c.snapshot != ""
    )
    if branch is not None:
        query = query.where(commits.c.branch == branch)
    return every(tx, query.order_by(commits.c.reported_at.desc()), Commit)


def doubt(tx: Connection, repository_id: str, before: datetime) -> None:
    """What was reported before a look into the history, and was not in it, is not there."""
    where = (commits.c.repository_id == repository_id, commits.c.status == "begun", commits.c.reported_at < before)
    change(tx, commits, *where, snapshot="", reported_at=None)


def forget(tx: Connection, repository_id: str, snapshots: Iterable[str]) -> None:
    """Expired snapshots are in no history any more; their commits stay for what they cost."""
    for snapshot in snapshots:
        where = (commits.c.repository_id == repository_id, commits.c.snapshot == snapshot)
        change(tx, commits, *where, status="expired")


def set_parents(tx: Connection, repository_id: str, parents: Iterable[tuple[str, str]]) -> None:
    """(snapshot, parent), where expiry has joined what was apart."""
    for snapshot, parent in parents:
        change(tx, commits, commits.c.repository_id == repository_id, commits.c.snapshot == snapshot, parent=parent)


def _landed() -> ColumnElement[bool]:
    return commits.c.status == "committed"
