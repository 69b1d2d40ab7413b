"""Repositories: make those that were wished for, and keep the index of their history true."""

from collections.abc import Container
from datetime import timedelta
from functools import partial
from typing import Any

import icechunk
import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.diffs import Diff
from amasia.models.repositories import Bucket, BucketStatus, Repository
from amasia.reconcilers.lanes import Lanes
from amasia.services import diffs, repositories
from amasia.stores import credentials, refs
from amasia.stores import diffs as compared
from amasia.stores import repositories as stores
from amasia.stores.leases import Source

log = structlog.get_logger()

SETTLE = timedelta(seconds=1)
"""A commit that was begun this recently is most likely being made; its history is read after it."""
WATCH = timedelta(minutes=1)
AT_ONCE = 20
"""Commits that are compared in one round."""


_making, _reading = Lanes(), Lanes()


def create(db: Database) -> None:
    """Make every repository that was asked for; repeatable, also after a crash half-way."""
    _making.run(repositories.requested(db), _bucket, partial(_create, db))


def _create(db: Database, repository: Repository) -> bool:
    """Whether its bucket answered."""
    bucket = repositories.place(db, repository).bucket
    if bucket.status is BucketStatus.requested:
        return True  # its turn comes when the bucket was tried
    if bucket.status is BucketStatus.failed:
        repositories.made(db, repository, reason=f"The bucket {bucket.name!r} cannot be used: {bucket.reason}")
        return True
    try:
        stores.create(source(db, repository))
    except errors.Unavailable as error:
        log.warning("repository waits for its store", repository=repository.full_name, error=str(error))
        return False
    except errors.AmasiaError as error:
        repositories.made(db, repository, reason=str(error))
    else:
        repositories.made(db, repository)
    return True


def index(db: Database) -> None:
    """Read the history of repositories that changed, and bring the index up to date."""
    _reading.run(repositories.stale(db, now() - SETTLE), _bucket, partial(_index, db))


def _index(db: Database, repository: Repository) -> bool:
    """Whether its bucket answered."""
    read_at = now()
    try:
        opened = stores.open(source(db, repository))
        history = histories(opened, repositories.indexed(db, repository))
        repositories.index(db, repository, history, read_at, refs.find(opened))
    except errors.Unavailable as error:
        log.warning("history could not be read", repository=repository.full_name, error=str(error))
        return False
    except errors.AmasiaError as error:
        log.warning("history could not be read", repository=repository.full_name, error=str(error))
    except Exception:
        # One repository that cannot be read keeps no other one from its turn.
        log.exception("history could not be read", repository=repository.full_name)
    return True


def _bucket(repository: Repository) -> str:
    return f"{repository.workspace}/{repository.bucket}"


def compare(db: Database) -> None:
    """What each new commit changed, for whoever looks at its page; a few at a time."""
    opened: dict[str, icechunk.Repository] = {}
    for repository_id, commit in diffs.missing(db, AT_ONCE):
        name = commit.repository
        try:
            repository = repositories.get(db, *name.split("/"))
            if repository_id not in opened:
                opened[repository_id] = stores.open(source(db, repository))
            found = compared.compare(opened[repository_id], commit.parent, commit.snapshot)
        except errors.Unavailable as error:
            log.warning("changes wait for the store", repository=name, error=str(error))
        except Exception as error:
            # Told once and never tried again: an empty difference that says nothing stands in its place.
            log.warning("changes could not be read", repository=name, snapshot=commit.snapshot, error=str(error))
            diffs.put(
                db, repository_id, commit.snapshot, Diff(before=commit.parent, after=commit.snapshot, known=False)
            )
        else:
            diffs.put(db, repository_id, commit.snapshot, found)


def watch(db: Database) -> None:
    """Repositories that other tools may write to with what was lent to them are looked at now and then."""
    repositories.watch(db, now() - WATCH)


def histories(repository: icechunk.Repository, known: Container[str] = ()) -> list[dict[str, Any]]:
    """Of every branch, main first, each down to what is known; with all that is before it, since it never changes."""
    branches = sorted(repository.list_branches(), key=lambda name: (name != "main", name))
    return [_plain(item, branch) for branch in branches for item in stores.history(repository, branch, until=known)]


def _plain(snapshot: stores.Snapshot, branch: str) -> dict[str, Any]:
    return {
        "branch": branch,
        "snapshot": snapshot.id,
        "parent": snapshot.parent,
        "message": snapshot.message,
        "at": snapshot.at,
        "metadata": dict(snapshot.metadata),
    }


def source(db: Database, repository: Repository) -> Source:
    """Administrator's rights on the repository's prefix, asked for anew each time."""
    bucket, keys = _broker(db, repository)
    return partial(credentials.administer, bucket, keys, repository.id, repository.name, repository.workspace)


def forget(db: Database, repository: Repository) -> None:
    """After its last object."""
    bucket, keys = _broker(db, repository)
    credentials.forget(bucket, keys, repository.id)


def _broker(db: Database, repository: Repository) -> tuple[Bucket, credentials.Keys]:
    place = repositories.place(db, repository)
    return place.bucket, credentials.Keys(place.access_key, place.secret_key, place.role or credentials.ROLE)
