"""Named queries on failed sign-ins: counted in rows, so that several control planes count together."""

from datetime import datetime

from sqlalchemy import Connection, case, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from amasia.database.rows import change
from amasia.database.tables import failures
from amasia.models.base import now


def add(tx: Connection, key: str, before: datetime) -> int:
    """Count one more; what was counted before a time is forgotten. How many there are now."""
    made = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    old = failures.c.since < before
    query = made(failures).values(key=key, count=1, since=now())
    query = query.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "count": case((old, 1), else_=failures.c.count + 1),
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
