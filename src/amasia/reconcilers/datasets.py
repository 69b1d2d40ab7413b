"""The catalog: describe every repository again after its newest commit, in a process of its own."""

import threading
from collections.abc import Callable

import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.repositories import Lease, Mode
from amasia.services import datasets, repositories
from amasia.stores.describing import children

log = structlog.get_logger()

Lend = Callable[[repositories.Place, Mode, str, int], Lease]


def describe(db: Database, lend: Lend, ended: threading.Event, seconds: float = children.SECONDS) -> None:
    """One look at each repository that waits for one. A look that fails keeps no other one from its turn.

    ``ended`` is set when the control plane stops: a look that is under way is given up and begun anew next time.
    """
    waiting = datasets.waiting(db)
    if not waiting:
        return
    with children.Child(seconds, ended) as child:
        for repository, wanted, committed_at in waiting:
            if ended.is_set():
                return
            try:
                found = child.describe(lend(repositories.place(db, repository), Mode.read, "@amasia", children.LIFE))
            except errors.AmasiaError as error:
                if ended.is_set():
                    return
                pause = datasets.undescribed(db, repository, wanted, str(error))
                log.warning("dataset not described", repository=repository.full_name, error=str(error),
                            again_in=pause.total_seconds())  # fmt: skip
            else:
                datasets.described(db, repository, wanted, committed_at, found)
