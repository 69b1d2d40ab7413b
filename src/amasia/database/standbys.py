"""Named queries on what is kept warm, and on the machines that are."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, select

from amasia.database.machines import MACHINE
from amasia.database.rows import add, change, every, one
from amasia.database.tables import machines, standbys
from amasia.models.machines import Machine
from amasia.models.standbys import Standby


def create(tx: Connection, standby: Standby) -> None:
    add(tx, standbys, standby)


def update(tx: Connection, standby: Standby, **columns: Any) -> None:
    change(tx, standbys, *_key(standby), **columns)


def remove(tx: Connection, standby: Standby) -> None:
    tx.execute(delete(standbys).where(*_key(standby)))


def find(tx: Connection, workspace: str, location: str, machine_type: str) -> Standby | None:
    where = (standbys.c.workspace == workspace, standbys.c.location == location)
    return one(tx, select(standbys).where(*where, standbys.c.machine_type == machine_type), Standby)


def of_workspace(tx: Connection, workspace: str) -> list[Standby]:
    query = select(standbys).where(standbys.c.workspace == workspace)
    return every(tx, query.order_by(standbys.c.location, standbys.c.machine_type), Standby)


def all_of_them(tx: Connection) -> list[Standby]:
    return every(tx, select(standbys), Standby)


def living(tx: Connection) -> list[Machine]:
    """Every warm machine that has not ended, the oldest first."""
    where = (machines.c.role == "warm", machines.c.status != "stopped")
    return every(tx, MACHINE.where(*where).order_by(machines.c.id), Machine)


def wish_stop(tx: Connection, found: list[Machine], reason: str) -> None:
    """Wish the end of those that no cluster has taken meanwhile."""
    where = (machines.c.id.in_([one.id for one in found]), machines.c.role == "warm", machines.c.target != "stopped")
    change(tx, machines, *where, target="stopped", reason=reason)


def ready(tx: Connection, workspace: str, location: str) -> list[Machine]:
    """Those that can be taken, held until the end of the transaction."""
    where = (machines.c.workspace == workspace, machines.c.location == location, machines.c.role == "warm")
    free = (machines.c.target == "running", machines.c.status == "running", ~_leaves())
    query = MACHINE.where(*where, *free).order_by(machines.c.price, machines.c.id)
    return every(tx, query.with_for_update(of=machines, skip_locked=True), Machine)


def ended(tx: Connection, standby: Standby, wished: str) -> tuple[int, str]:
    """How many of its machines ended for another reason than the wished one, and the last reason."""
    where = (
        machines.c.workspace == standby.workspace,
        machines.c.location == standby.location,
        machines.c.machine_type == standby.machine_type,
        machines.c.role == "warm",
        machines.c.status == "stopped",
        machines.c.stopped_at > standby.created_at,
        machines.c.reason != wished,
    )
    count = int(tx.execute(select(func.count()).where(*where)).scalar_one())
    last = select(machines.c.reason).where(*where).order_by(machines.c.stopped_at.desc()).limit(1)
    return count, tx.execute(last).scalar() or ""


def _leaves() -> ColumnElement[bool]:
    announced: ColumnElement[bool] = machines.c.stages["leaves"].as_string().is_not(None)
    return announced


def _key(standby: Standby) -> tuple[ColumnElement[bool], ...]:
    return (
        standbys.c.workspace == standby.workspace,
        standbys.c.location == standby.location,
        standbys.c.machine_type == standby.machine_type,
    )
