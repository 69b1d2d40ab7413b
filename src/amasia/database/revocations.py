"""Named queries on what was lent and is taken back."""

from collections.abc import Collection
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


def connected(tx: Connection, workspace: str, user: str, cluster_ids: Collection[str]) -> set[str]:
    """Those of some clusters whose certificate somebody was given, by the audit trail."""
    if not cluster_ids:
        return set()
    where = (events.c.workspace == workspace, events.c.actor == user, events.c.verb == "cluster.connect")
    return set(tx.execute(select(events.c.target).where(*where, events.c.target.in_(cluster_ids))).scalars())
