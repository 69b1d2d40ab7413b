"""What each commit changed, compared once by the reconciler and kept."""

from amasia import errors
from amasia.database import diffs as rows
from amasia.database.engine import Database
from amasia.models.diffs import Diff
from amasia.models.repositories import Commit
from amasia.services.repositories import known


def get(db: Database, workspace: str, name: str, snapshot: str) -> Diff:
    """What a commit changed since its parent."""
    with db.read() as tx:
        repository = known(tx, workspace, name)
        found = rows.find(tx, repository.id, snapshot)
    if found is None:
        raise errors.NotFound(
            f"What {snapshot!r} changed in {repository.full_name} is not known here.",
            cure="A new commit is compared within seconds; `amasia repo log` shows those there are.",
        )
    return found


def missing(db: Database, limit: int) -> list[tuple[str, Commit]]:
    with db.read() as tx:
        return rows.missing(tx, limit)


def put(db: Database, repository_id: str, snapshot: str, diff: Diff) -> None:
    with db.write() as tx:
        rows.put(tx, repository_id, snapshot, diff)
