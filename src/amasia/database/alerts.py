"""Named queries on what people are told of budgets."""

from sqlalchemy import Connection, insert, select, update

from amasia.database import channels
from amasia.database.rows import every
from amasia.database.tables import alerts
from amasia.models.alerts import Alert
from amasia.models.base import now


def append(tx: Connection, *, workspace: str, budget: str, percent: int, text: str, user: str) -> None:
    """Of all ways: its channels send it on."""
    columns = {"workspace": workspace, "budget": budget, "percent": percent, "text": text, "user": user, "at": now()}
    made = tx.execute(insert(alerts).values(columns)).inserted_primary_key
    assert made is not None
    channels.send(tx, made[0], user)


def last(tx: Connection, workspace: str, user: str, limit: int) -> list[Alert]:
    """Newest first."""
    query = select(alerts).where(alerts.c.workspace == workspace, alerts.c.user == user)
    return every(tx, query.order_by(alerts.c.id.desc()).limit(limit), Alert)


def waiting(tx: Connection, user: str) -> bool:
    """Whether there is something that a user's terminal has not shown yet."""
    query = select(alerts.c.id).where(alerts.c.user == user, alerts.c.shown_at.is_(None))
    return tx.execute(query.limit(1)).first() is not None


def take(tx: Connection, user: str, limit: int = 20) -> list[Alert]:
    """Those that a user's terminal has not shown yet, oldest first; from now on it has."""
    query = select(alerts).where(alerts.c.user == user, alerts.c.shown_at.is_(None)).order_by(alerts.c.id).limit(limit)
    found = every(tx, query.with_for_update(skip_locked=True), Alert)
    if found:
        tx.execute(update(alerts).where(alerts.c.id.in_([one.id for one in found])).values(shown_at=now()))
    return found
