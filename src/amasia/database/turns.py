"""Named queries on turns."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from amasia.database.rows import add, change, one
from amasia.database.tables import turns
from amasia.models.turns import Turn


def find(tx: Connection, repository_id: str, branch: str) -> Turn | None:
    return one(tx, select(turns).where(turns.c.repository_id == repository_id, turns.c.branch == branch), Turn)


def take(tx: Connection, repository_id: str, turn: Turn) -> None:
    tx.execute(delete(turns).where(turns.c.repository_id == repository_id, turns.c.branch == turn.branch))
    add(tx, turns, turn, repository_id=repository_id)


def renew(tx: Connection, repository_id: str, turn_id: str, until: datetime) -> int:
    return change(tx, turns, turns.c.repository_id == repository_id, turns.c.id == turn_id, until=until)


def end(tx: Connection, repository_id: str, turn_id: str) -> None:
    tx.execute(delete(turns).where(turns.c.repository_id == repository_id, turns.c.id == turn_id))
