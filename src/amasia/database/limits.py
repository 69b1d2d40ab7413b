"""Named queries on what tenants may take, and on what they take."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, select, true

from amasia.database.machines import STARTING
from amasia.database.rows import add, change, mapping
from amasia.database.tables import limits, machines, repositories, secrets, workspaces
from amasia.models.base import now
from amasia.models.limits import Limits


def own(tx: Connection, workspace: str) -> dict[str, int]:
    """Those that were set for a workspace."""
    return _said(mapping(tx, select(limits).where(limits.c.workspace == workspace)) or {})


def every_own(tx: Connection) -> dict[str, dict[str, int]]:
    """By workspace, of all that there are."""
    found = {row["workspace"]: _said(row) for row in tx.execute(select(limits)).mappings()}
    names = tx.execute(select(workspaces.c.name).order_by(workspaces.c.name)).scalars()
    return {name: found.get(name, {}) for name in names}


def put(tx: Connection, workspace: str, said: Mapping[str, int]) -> None:
    if said and not change(tx, limits, limits.c.workspace == workspace, **said):
        add(tx, limits, None, workspace=workspace, **said)


def remove(tx: Connection, workspace: str) -> int:
    return tx.execute(delete(limits).where(limits.c.workspace == workspace)).rowcount


def starting(tx: Connection, workspace: str, but: str = "") -> int:
    """Machines that are being started, without one."""
    where = (machines.c.workspace == workspace, machines.c.id != but)
    return int(tx.execute(_counts(*where, *_starts())).scalar_one())


def machines_of(tx: Connection, workspace: str) -> int:
    """Wished for or there."""
    return int(tx.execute(_counts(machines.c.workspace == workspace, machines.c.status != "stopped")).scalar_one())


def repositories_of(tx: Connection, workspace: str) -> int:
    return _rows(tx, repositories, workspace)


def secrets_of(tx: Connection, workspace: str) -> int:
    return _rows(tx, secrets, workspace)


def used(tx: Connection, only: str | None = None) -> dict[str, dict[str, Any]]:
    """By workspace, or of one, what it takes, as `models.limits.Allowance` has it."""
    found: dict[str, dict[str, Any]] = {}
    waits = (machines.c.status == "requested", machines.c.target == "running")
    asked = func.min(machines.c.stages["requested"].as_string()).filter(*waits)
    query = select(
        machines.c.workspace,
        func.count().label("machines"),
        func.count().filter(*_starts()).label("starting"),
        func.count().filter(*waits).label("waiting"),
        asked.label("since"),
    ).where(machines.c.status != "stopped", _of(machines.c.workspace, only))
    for row in tx.execute(query.group_by(machines.c.workspace)).mappings():
        since = row["since"]
        waited = (now() - datetime.fromisoformat(since)).total_seconds() if since else 0.0
        found[row["workspace"]] = {
            **{name: row[name] for name in ("machines", "starting", "waiting")},
            "waited_seconds": max(0.0, round(waited, 1)),
        }
    for table in (repositories, secrets):
        count = select(table.c.workspace, func.count().label("n"))
        count = count.where(_of(table.c.workspace, only)).group_by(table.c.workspace)
        for row in tx.execute(count).mappings():
            found.setdefault(row["workspace"], {})[table.name] = row["n"]
    return found


def _rows(tx: Connection, table: Table, workspace: str) -> int:
    return int(tx.execute(select(func.count()).select_from(table).where(table.c.workspace == workspace)).scalar_one())


def _of(workspace: ColumnElement[str], only: str | None) -> ColumnElement[bool]:
    return true() if only is None else workspace == only


def _starts() -> tuple[Any, ...]:
    return (machines.c.status.in_(STARTING), machines.c.target == "running")


def _counts(*where: Any) -> Select[int]:
    return select(func.count()).select_from(machines).where(*where)


def _said(row: Mapping[Any, Any]) -> dict[str, int]:
    return {name: row[name] for name in Limits.model_fields if row.get(name) is not None}
