"""The catalog: what is described, what somebody may find in it. Only `described` and `undescribed` write."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from amasia import errors
from amasia.database import datasets as rows
from amasia.database import events
from amasia.database import repositories as repository_rows
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.datasets import Contents, Dataset, Details, Query
from amasia.models.grants import Level
from amasia.models.repositories import Repository
from amasia.models.users import Principal
from amasia.services import grants

SETTLE = timedelta(seconds=2)
"""A repository is described this long after its newest commit, so that a row of commits is looked at once."""
FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=1)
DEEPEST = 10_000
"""Of a search: nobody reads further, and skipping costs."""


def readable(db: Database, who: Principal, workspace: str, name: str, verb: str) -> Repository:
    """A repository that somebody may read; whoever may not is told that there is none."""
    return grants.require(db, who, workspace, name, Level.read, verb, public=True)


def search(
    db: Database, who: Principal, query: Query, limit: int = 50, after: int = 0, *, thumbnails: bool = False
) -> list[Dataset]:
    """What fits and they may read, the best first."""
    if after > DEEPEST:
        raise errors.InvalidRequest(f"No search goes deeper than {DEEPEST}.", cure="Add a word, a place or a time.")
    with db.read() as tx:
        return rows.search(tx, rows.visible(who), query, limit, after, thumbnails=thumbnails)


def find(db: Database, repository: Repository) -> list[Dataset]:
    with db.read() as tx:
        return rows.find(tx, repository.id)


def get(db: Database, repository: Repository, group: str) -> Details:
    with db.read() as tx:
        found = rows.get(tx, repository.id, group)
        if found is None:
            there = [one.group for one in rows.find(tx, repository.id)]
    if found is None:
        raise errors.NotFound(
            f"The catalog has no dataset {group!r} of {repository.full_name}.",
            cure=f"It has: {', '.join(there)}." if there else "A commit is in the catalog some seconds after it.",
        )
    return found


def preview(db: Database, repository: Repository, group: str, variable: str = "") -> str:
    """The SVG of a variable, or of the dataset's first one."""
    with db.read() as tx:
        found = rows.preview(tx, repository.id, group, variable)
    if found is None:
        raise errors.NotFound(f"There is no preview of {variable or 'any variable'} in {repository.full_name}.")
    return found


def collections(db: Database, who: Principal) -> list[Repository]:
    with db.read() as tx:
        return rows.collections(tx, rows.visible(who))


def waiting(db: Database, limit: int = 8) -> list[tuple[Repository, str, datetime]]:
    at = now()
    with db.read() as tx:
        return rows.waiting(tx, at, at - SETTLE, limit)


def described(db: Database, repository: Repository, wanted: str, committed_at: datetime, found: Contents) -> None:
    """Make the catalog what was found; ``wanted`` is the snapshot that made somebody look."""
    with db.write() as tx:
        if not _there(tx, repository):
            return
        rows.put(tx, repository, found.snapshot, committed_at, found.groups)
        rows.described(tx, repository.id, wanted, now())
        events.append(tx, actor="amasia", verb="dataset.described", target=repository.full_name,
                      workspace=repository.workspace, snapshot=found.snapshot, groups=len(found.groups))  # fmt: skip


def undescribed(db: Database, repository: Repository, wanted: str, reason: str) -> timedelta:
    """It could not be described. What the catalog had of it stays; how long until the next try."""
    with db.write() as tx:
        if not _there(tx, repository):
            return LONGEST_PAUSE
        pause: timedelta = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(rows.failures(tx, repository.id), 12))
        rows.described(tx, repository.id, wanted, now(), next_at=now() + pause, reason=reason)
    return pause


def _there(tx: Connection, repository: Repository) -> bool:
    found = repository_rows.find(tx, repository.workspace, repository.name)
    return found is not None and found.id == repository.id
