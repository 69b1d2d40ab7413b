"""Named queries on failed sign-ins and denials: counted in rows, so that several control planes count together."""

import threading
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, case, delete, func, not_, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from amasia.database.rows import change
from amasia.database.tables import failures
from amasia.models.base import now
from amasia.models.users import ANONYMOUS

DENIED = "denied:"
"""How the keys of denials begin."""
UNKNOWN = f"{DENIED}{ANONYMOUS}"
"""Those of somebody of whom only the address is known, if that."""
MOST = 10_000
"""Keys that a flood is remembered of."""


class Flood:
    """What comes so often that not each is worth a transaction: counted in memory, and written together."""

    def __init__(self, pause: timedelta = timedelta(seconds=1)) -> None:
        self._pause, self._lock = pause, threading.Lock()
        self._held: dict[str, tuple[datetime, int]] = {}

    def begin(self, key: str, at: datetime) -> None:
        """From now on it is one: the next is written after a pause, and those until then with it."""
        with self._lock:
            self._held[key] = (at + self._pause, 0)
            if len(self._held) > MOST:
                del self._held[next(iter(self._held))]

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


def forget(tx: Connection, before: datetime, most: int) -> None:
    """All that are older, but denials that are more than ``most``: what was left out of them is still to be told.

    Those of addresses are few, and `end` does it.
    """
    denied, unknown = failures.c.key.startswith(DENIED), failures.c.key.startswith(UNKNOWN)
    over = or_(not_(denied), and_(failures.c.count <= most, not_(unknown)))
    tx.execute(delete(failures).where(failures.c.since < before, over))


def rows(tx: Connection, begin: str) -> int:
    """How many have a key that begins so."""
    return tx.execute(select(func.count()).where(failures.c.key.startswith(begin))).scalar_one()


def end(tx: Connection, begin: str, before: datetime, most: int) -> int:
    """Forget those that begin so and are older; how many there were above ``most`` of each."""
    where = (failures.c.key.startswith(begin), failures.c.since < before)
    gone = tx.execute(delete(failures).where(*where).returning(failures.c.count)).scalars()
    return sum(max(0, count - most) for count in gone)


def clear(tx: Connection, name: str) -> None:
    """Those of a name, wherever they came from."""
    tx.execute(delete(failures).where(or_(failures.c.key == f"name:{name}", failures.c.key.like(f"name:{name} %"))))
