"""The catalog: describe every repository again after its newest commit, in a process of its own."""

from collections.abc import Callable

import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.repositories import Lease, Mode
from amasia.services import datasets, repositories
from amasia.stores.describing.children import Child

log = structlog.get_logger()

Lend = Callable[[repositories.Place, Mode, str], Lease]


def describe(db: Database, lend: Lend, seconds: float | None = None) -> None:
    """One look at each repository that waits for one. A look that fails keeps no other one from its turn."""
    waiting = datasets.waiting(db)
    if not waiting:
        return
    with Child() if seconds is None else Child(seconds) as child:
        for repository, wanted, committed_at in waiting:
            try:
                found = child.describe(lend(repositories.place(db, repository), Mode.read, "amasia"))
            except errors.AmasiaError as error:
                pause = datasets.undescribed(db, repository, wanted, str(error))
                log.warning("dataset not described", repository=repository.full_name, error=str(error),
                            again_in=pause.total_seconds())  # fmt: skip
            else:
                datasets.described(db, repository, wanted, committed_at, found)
