"""Measure what repositories take up, a few at a time, each about once an hour; and what each new commit added."""

from datetime import timedelta

import icechunk
import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.reconcilers.repositories import source
from amasia.services import repositories, storage
from amasia.stores import objects, sizes
from amasia.stores import repositories as stores
from amasia.stores.leases import Source, current

log = structlog.get_logger()

PACE = timedelta(hours=1)
AT_ONCE = 5
COMMITS_AT_ONCE = 20


def reconcile(db: Database, price: int) -> None:
    """``price`` in micro-units per GiB and month."""
    for repository in storage.due(db, now() - PACE, AT_ONCE):
        administrator, at = source(db, repository), now()
        try:
            nbytes = [one.nbytes for one in objects.find(current(administrator))]
            chunks = stores.open(administrator).chunk_storage_stats().native_bytes
        except errors.AmasiaError as error:
            log.warning("a repository could not be measured", repository=repository.full_name, error=str(error))
            continue
        if not storage.measured(db, repository, price, sum(nbytes), len(nbytes), chunks, at):
            log.warning("no budget for storage", repository=repository.full_name, workspace=repository.workspace)


def snapshots(db: Database) -> None:
    """What each new commit added to its repository; a few at a time."""
    opened: dict[str, tuple[Source, icechunk.Repository]] = {}
    for repository_id, commit in storage.unsized(db, COMMITS_AT_ONCE):
        try:
            if repository_id not in opened:
                administrator = source(db, repositories.get(db, *commit.repository.split("/")))
                opened[repository_id] = administrator, stores.open(administrator)
            found = sizes.added(*opened[repository_id], commit.snapshot, commit.parent)
        except errors.Unavailable as error:
            log.warning("sizes wait for the store", repository=commit.repository, error=str(error))
        except Exception as error:
            # Told once and never tried again: that it is not known is written down in its place.
            log.warning("a size is not known", repository=commit.repository, snapshot=commit.snapshot, error=str(error))
            storage.sized(db, repository_id, commit.snapshot, None, None)
        else:
            storage.sized(db, repository_id, commit.snapshot, found.nbytes, found.chunks_nbytes)
