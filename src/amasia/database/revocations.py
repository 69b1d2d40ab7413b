"""Named queries on what was lent and is taken back."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from amasia.database.rows import add, every, one
from amasia.database.tables import events, revocations
from amasia.models.revocations import Revocation


def put(tx: Connection, revocation: Revocation) -> None:
    add(tx, revocations, revocation)


def latest(tx: Connection, workspace: str, user: str) -> Revocation | None:
    query = select(revocations).where(revocations.c.workspace == workspace, revocations.c.user == user)
    return one(tx, query.order_by(revocations.c.at.desc(), revocations.c.id).limit(1), Revocation)


def every_one(tx: Connection) -> list[Revocation]:
    return every(tx, select(revocations).order_by(revocations.c.at, revocations.c.id), Revocation)


def forget(tx: Connection, before: datetime) -> None:
    tx.execute(delete(revocations).where(revocations.c.at < before))


def connected(tx: Connection, workspace: str, user: str) -> set[str]:
    """Ids of clusters whose certificate somebody was given, by the audit trail."""
    query = select(events.c.target).where(
        events.c.workspace == workspace, events.c.actor == user, events.c.verb == "cluster.connect"
    )
    return set(tx.execute(query).scalars())
