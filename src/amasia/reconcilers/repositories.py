"""Repositories: make those that were wished for, and keep the index of their history true."""

from datetime import timedelta
from functools import partial
from typing import Any

import icechunk
import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.repositories import BucketStatus, Repository
from amasia.reconcilers.lanes import Lanes
from amasia.services import repositories
from amasia.stores import credentials
from amasia.stores import repositories as stores
from amasia.stores.leases import Source

log = structlog.get_logger()

SETTLE = timedelta(seconds=1)
"""A commit that was begun this recently is most likely being made; its history is read after it."""


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
        stores.create(_source(db, repository))
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
        repositories.index(db, repository, _histories(stores.open(_source(db, repository))), read_at)
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


def _histories(repository: icechunk.Repository) -> list[dict[str, Any]]:
    """Of every branch, main first."""
    branches = sorted(repository.list_branches(), key=lambda name: (name != "main", name))
    return [_plain(item, branch) for branch in branches for item in stores.history(repository, branch)]


def _plain(snapshot: stores.Snapshot, branch: str) -> dict[str, Any]:
    return {
        "branch": branch,
        "snapshot": snapshot.id,
        "parent": snapshot.parent,
        "message": snapshot.message,
        "at": snapshot.at,
        "metadata": dict(snapshot.metadata),
    }


def _source(db: Database, repository: Repository) -> Source:
    """Administrator's rights on the repository's prefix, asked for anew each time."""
    place = repositories.place(db, repository)
    keys = credentials.Keys(place.access_key, place.secret_key, place.role or credentials.ROLE)
    return partial(credentials.administer, place.bucket, keys, repository.id, repository.name, repository.workspace)
