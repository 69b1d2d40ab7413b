"""Named queries on failed sign-ins and denials: counted in rows, so that several control planes count together."""

import threading
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from amasia.database.rows import change
from amasia.database.tables import failures
from amasia.models.base import now


class Flood:
    """What comes so often that not each is worth a transaction: counted in memory, and written together."""

    def __init__(self, pause: timedelta = timedelta(seconds=1)) -> None:
        self._pause, self._lock = pause, threading.Lock()
        self._held: dict[str, tuple[datetime, int]] = {}

    def begin(self, key: str, at: datetime) -> None:
        """From now on it is one: the next is written after a pause, and those until then with it."""
        with self._lock:
            self._held[key] = (at + self._pause, 0)

    def add(self, key: str, at: datetime) -> int | None:
        """How many came before this one that are to be written with it; None where it is itself to wait."""
        with self._lock:
            until, count = self._held.pop(key, (at, 0))
            if at >= until:
                return count
            self._held[key] = (until, count + 1)
            return None


def add(tx: Connection, key: str, before: datetime, *, waited: int = 0) -> int:
    """Count one more, and those that waited; what was counted before a time is forgotten. How many there are now."""
    made = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    old = failures.c.since < before
    query = made(failures).values(key=key, count=1, since=now())
    query = query.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "count": case((old, 1), else_=failures.c.count + 1 + waited),
            "since": case((old, query.excluded.since), else_=failures.c.since),
        },
    )
    tx.execute(query)
    return int(tx.execute(select(failures.c.count).where(failures.c.key == key)).scalar_one())


def count(tx: Connection, key: str) -> int:
    """As it was left, however long ago."""
    return tx.execute(select(failures.c.count).where(failures.c.key == key)).scalar() or 0


def take_back(tx: Connection, key: str) -> None:
    """It was no failure."""
    change(tx, failures, failures.c.key == key, failures.c.count > 0, count=failures.c.count - 1)


def forget(tx: Connection, before: datetime) -> None:
    tx.execute(delete(failures).where(failures.c.since < before))


def clear(tx: Connection, name: str) -> None:
    """Those of a name, wherever they came from."""
    tx.execute(delete(failures).where(or_(failures.c.key == f"name:{name}", failures.c.key.like(f"name:{name} %"))))
