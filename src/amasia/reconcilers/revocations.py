"""What was lent to somebody who is gone is refused by the embedded store from now on."""

from typing import Protocol

from amasia.database.engine import Database
from amasia.models.revocations import Revocation
from amasia.services import removals


class Refuses(Protocol):
    """A store of ours."""

    def refuse(self, revocations: list[Revocation]) -> None: ...


class Revocations:
    """Tells the store whenever there is something to tell, and once at the start."""

    def __init__(self, db: Database, store: Refuses) -> None:
        self._db, self._store = db, store
        self._told: list[Revocation] | None = None

    def look(self) -> None:
        found = removals.find(self._db)
        if found != self._told:
            self._store.refuse(found)
            self._told = found
