"""Named queries on channels, and on what is to go out by them."""

from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, or_, select

from amasia.database.rows import add, change, every, turn
from amasia.database.schema import Sealed
from amasia.database.tables import alerts, channels, sendings
from amasia.models.alerts import Alert
from amasia.models.channels import Channel, Sending


def create(tx: Connection, channel: Channel, sealed: Sealed) -> None:
    add(tx, channels, channel, secret=sealed)


def of_user(tx: Connection, user: str) -> list[Channel]:
    return every(tx, select(channels).where(channels.c.user == user).order_by(channels.c.created_at), Channel)


def remove(tx: Connection, user: str, channel_id: str) -> int:
    return tx.execute(delete(channels).where(channels.c.user == user, channels.c.id == channel_id)).rowcount


def fail(tx: Connection, channel_id: str, reason: str) -> None:
    change(tx, channels, channels.c.id == channel_id, reason=reason)


def send(tx: Connection, alert_id: int, user: str) -> None:
    """Let an alert go out by every channel of a user."""
    query = select(channels.c.id).where(channels.c.user == user)
    rows = [{"alert_id": alert_id, "channel_id": one, "tries": 0} for one in tx.execute(query).scalars()]
    if rows:
        tx.execute(insert(sendings), rows)


def waiting(tx: Connection) -> bool:
    return bool(tx.execute(select(func.count()).select_from(sendings)).scalar_one())


def claim(tx: Connection, at: datetime, until: datetime, limit: int) -> list[tuple[Sending, Sealed]]:
    """(what is to go out now, the channel's sealed secret), taken so that no other control plane sends it too.

    Workspaces take turns.
    """
    due = or_(sendings.c.due_at.is_(None), sendings.c.due_at <= at)
    in_turn = select(sendings.c.id).join(alerts, alerts.c.id == sendings.c.alert_id).where(due)
    in_turn = in_turn.order_by(turn(alerts.c.workspace, sendings.c.id), sendings.c.id).limit(limit)
    query = select(sendings.c.id).where(sendings.c.id.in_(list(tx.execute(in_turn).scalars())), due)
    ids = list(tx.execute(query.with_for_update(skip_locked=True)).scalars())
    if not ids:
        return []
    change(tx, sendings, sendings.c.id.in_(ids), due_at=until)
    found = []
    for row in tx.execute(select(sendings).where(sendings.c.id.in_(ids)).order_by(sendings.c.id)).mappings():
        alert = every(tx, select(alerts).where(alerts.c.id == row["alert_id"]), Alert)[0]
        channel = tx.execute(select(channels).where(channels.c.id == row["channel_id"])).mappings().one()
        one = Sending(id=row["id"], tries=row["tries"], alert=alert, channel=Channel.model_validate(dict(channel)))
        found.append((one, channel["secret"]))
    return found


def put_off(tx: Connection, sending_id: int, tries: int, due_at: datetime) -> None:
    change(tx, sendings, sendings.c.id == sending_id, tries=tries, due_at=due_at)


def finish(tx: Connection, sending_id: int) -> None:
    tx.execute(delete(sendings).where(sendings.c.id == sending_id))
