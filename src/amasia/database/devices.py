"""Named queries on devices that ask to be let in."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, select

from amasia.database.rows import add, change, mapping, one
from amasia.database.tables import devices
from amasia.models.base import now
from amasia.models.devices import Device


def begin(tx: Connection, device: Device, *, hashed: str, user_hash: str) -> None:
    add(tx, devices, device, hash=hashed, user_hash=user_hash, user="")


def waiting(tx: Connection, user_hash: str) -> Device | None:
    """The one that shows this code, where nobody has answered yet."""
    where = (devices.c.user_hash == user_hash, devices.c.status == "pending", devices.c.expires_at > now())
    return one(tx, select(devices).where(*where), Device)


def row(tx: Connection, hashed: str) -> RowMapping | None:
    return mapping(tx, select(devices).where(devices.c.hash == hashed, devices.c.expires_at > now()))


def answer(tx: Connection, device_id: str, **columns: Any) -> int:
    """Once: 0 where somebody else was first."""
    return change(tx, devices, devices.c.id == device_id, devices.c.status == "pending", **columns)


def polled(tx: Connection, device_id: str, at: datetime) -> None:
    change(tx, devices, devices.c.id == device_id, polled_at=at)


def end(tx: Connection, device_id: str) -> int:
    return tx.execute(delete(devices).where(devices.c.id == device_id)).rowcount


def forget(tx: Connection, before: datetime) -> None:
    tx.execute(delete(devices).where(devices.c.expires_at < before))
