"""Named queries on secrets. Only `lend` reads what they hold, and it is sealed."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, select

from amasia.database.rows import add, change, every
from amasia.database.schema import Sealed
from amasia.database.tables import secrets
from amasia.models.secrets import Secret

_SEEN = [column for column in secrets.columns if column.name != "value"]


def is_there(tx: Connection, workspace: str, grantee: str, name: str) -> bool:
    return tx.execute(select(secrets.c.name).where(_this(workspace, grantee, name))).first() is not None


def put(tx: Connection, secret: Secret, value: Sealed) -> None:
    """Make it, or change it: it was not used yet."""
    where = _this(secret.workspace, secret.grantee, secret.name)
    if not change(tx, secrets, where, value=value, set_by=secret.set_by, set_at=secret.set_at, last_used_at=None):
        add(tx, secrets, secret, value=value)


def remove(tx: Connection, workspace: str, grantee: str, name: str) -> int:
    return tx.execute(delete(secrets).where(_this(workspace, grantee, name))).rowcount


def forget(tx: Connection, workspace: str | None, *grantees: str) -> None:
    """All that some have in a workspace, or everywhere."""
    here = [] if workspace is None else [secrets.c.workspace == workspace]
    tx.execute(delete(secrets).where(secrets.c.grantee.in_(grantees), *here))


def of_workspace(tx: Connection, workspace: str, grantees: Collection[str] | None = None) -> list[Secret]:
    """By name; those of some grantees, or all."""
    return every(tx, _of(select(*_SEEN), workspace, grantees), Secret)


def lend(tx: Connection, workspace: str, grantees: Collection[str]) -> list[tuple[Secret, Sealed]]:
    """With what they hold, sealed."""
    rows = tx.execute(_of(select(secrets), workspace, grantees)).mappings()
    return [(Secret.model_validate(dict(row)), row["value"]) for row in rows]


def used(tx: Connection, secret: Secret, at: datetime) -> None:
    change(tx, secrets, _this(secret.workspace, secret.grantee, secret.name), last_used_at=at)


def _this(workspace: str, grantee: str, name: str) -> ColumnElement[bool]:
    return and_(secrets.c.workspace == workspace, secrets.c.grantee == grantee, secrets.c.name == name)


def _of(query: Select[Any], workspace: str, grantees: Collection[str] | None) -> Select[Any]:
    query = query.where(secrets.c.workspace == workspace).order_by(secrets.c.name, secrets.c.grantee)
    return query if grantees is None else query.where(secrets.c.grantee.in_(list(grantees)))
