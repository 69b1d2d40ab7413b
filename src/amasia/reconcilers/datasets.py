"""The catalog: describe every repository again after its newest commit, in a process of its own."""

import threading
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.repositories import Lease, Mode, Repository
from amasia.services import datasets, repositories
from amasia.stores.describing import children

log = structlog.get_logger()

Lend = Callable[[repositories.Place, Mode, str, int], Lease]


KEEP = 20.0
"""Seconds that the process is kept for the next look: its start takes longer than most looks do."""


class Catalog:
    """Describes what waits for it; `close` it.

    ``ended`` is set when the control plane stops: a look that is under way is given up and begun anew next time.
    """

    def __init__(self, db: Database, lend: Lend, ended: threading.Event, seconds: float = children.SECONDS) -> None:
        self._db, self._lend, self._ended = db, lend, ended
        self._child = children.Child(seconds, ended)
        self._used = time.monotonic()

    def look(self) -> None:
        """One look at each repository that waits for one. One that fails keeps no other one from its turn."""
        waiting = datasets.waiting(self._db)
        if not waiting:
            if time.monotonic() - self._used > KEEP:
                self.close()
            return
        for repository, wanted, committed_at in waiting:
            if self._ended.is_set():
                return
            self._describe(repository, wanted, committed_at)
        self._used = time.monotonic()

    def close(self) -> None:
        self._child.close()

    def _describe(self, repository: Repository, wanted: str, committed_at: datetime) -> None:
        try:
            place = repositories.place(self._db, repository)
            found = self._child.describe(self._lend(place, Mode.read, "@amasia", children.LIFE))
        except errors.AmasiaError as error:
            self.close()  # it may have come to its bounds, which are for the process
            if self._ended.is_set():
                return
            pause = datasets.undescribed(self._db, repository, wanted, str(error))
            log.warning("dataset not described", repository=repository.full_name, error=str(error),
                        again_in=pause.total_seconds())  # fmt: skip
        else:
            datasets.described(self._db, repository, wanted, committed_at, found)
