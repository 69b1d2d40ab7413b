"""Measure what repositories take up, a few at a time, each about once an hour."""

from datetime import timedelta

import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.reconcilers.repositories import source
from amasia.services import storage
from amasia.stores import objects
from amasia.stores import repositories as stores
from amasia.stores.leases import current

log = structlog.get_logger()

PACE = timedelta(hours=1)
AT_ONCE = 5


def reconcile(db: Database, price: int) -> None:
    """``price`` in micro-units per GiB and month."""
    for repository in storage.due(db, now() - PACE, AT_ONCE):
        administrator = source(db, repository)
        try:
            sizes = [one.nbytes for one in objects.find(current(administrator))]
            chunks = stores.open(administrator).chunk_storage_stats().native_bytes
        except errors.AmasiaError as error:
            log.warning("a repository could not be measured", repository=repository.full_name, error=str(error))
            continue
        if not storage.measured(db, repository, price, sum(sizes), len(sizes), chunks):
            log.warning("no budget for storage", repository=repository.full_name, workspace=repository.workspace)
