"""Named queries on what each commit changed."""

from sqlalchemy import Connection, and_, exists, select

from amasia.database.repositories import COMMIT
from amasia.database.rows import add, every, mapping, turn
from amasia.database.tables import commits, diffs, repositories
from amasia.models.diffs import Diff
from amasia.models.repositories import Commit


def find(tx: Connection, repository_id: str, snapshot: str) -> Diff | None:
    row = mapping(tx, select(diffs).where(diffs.c.repository_id == repository_id, diffs.c.snapshot == snapshot))
    return Diff.model_validate(row["diff"]) if row else None


def put(tx: Connection, repository_id: str, snapshot: str, diff: Diff) -> None:
    if find(tx, repository_id, snapshot) is None:
        add(tx, diffs, repository_id=repository_id, snapshot=snapshot, diff=diff)


def missing(tx: Connection, limit: int) -> list[tuple[str, Commit]]:
    """(repository id, commit) of those that nobody compared with their parents yet, newest first."""
    known = exists().where(
        and_(diffs.c.repository_id == commits.c.repository_id, diffs.c.snapshot == commits.c.snapshot)
    )
    where = (commits.c.status == "committed", commits.c.parent != "", ~known)
    query = COMMIT.where(*where).order_by(turn(repositories.c.workspace, commits.c.at.desc()), commits.c.at.desc())
    found = every(tx, query.limit(limit), Commit)
    ids = select(commits.c.id, commits.c.repository_id).where(commits.c.id.in_([commit.id for commit in found]))
    of = {row.id: row.repository_id for row in tx.execute(ids)}
    return [(of[commit.id], commit) for commit in found]
