"""Named queries on groups."""

from sqlalchemy import Connection, delete, select

from amasia.database.rows import add, change
from amasia.database.tables import group_members, groups
from amasia.models.base import now
from amasia.models.grants import Group


def add_group(tx: Connection, workspace: str, name: str) -> None:
    add(tx, groups, workspace=workspace, name=name, created_at=now())


def find(tx: Connection, workspace: str, name: str) -> Group | None:
    return next((group for group in every_of(tx, workspace) if group.name == name), None)


def every_of(tx: Connection, workspace: str) -> list[Group]:
    """By name, each with its members."""
    found: dict[str, dict[str, str]] = {}
    query = select(group_members).where(group_members.c.workspace == workspace).order_by(group_members.c.user)
    for row in tx.execute(query).mappings():
        found.setdefault(row["group"], {})[row["user"]] = row["origin"]
    query = select(groups).where(groups.c.workspace == workspace).order_by(groups.c.name)
    rows = tx.execute(query).mappings()
    return [Group.model_validate({**row, **_members(found.get(row["name"], {}))}) for row in rows]


def of_user(tx: Connection, user: str) -> dict[tuple[str, str], str]:
    """By workspace and name, those that somebody is in, each with the issuer whose claims put them there, if any."""
    query = select(group_members).where(group_members.c.user == user)
    return {(row["workspace"], row["group"]): row["origin"] for row in tx.execute(query).mappings()}


def names(tx: Connection, workspace: str, user: str) -> tuple[str, ...]:
    """Names of the groups that somebody is in."""
    query = select(group_members.c.group).where(group_members.c.workspace == workspace, group_members.c.user == user)
    return tuple(tx.execute(query.order_by(group_members.c.group)).scalars())


def delete_group(tx: Connection, workspace: str, name: str) -> None:
    tx.execute(delete(groups).where(groups.c.workspace == workspace, groups.c.name == name))


def add_member(tx: Connection, workspace: str, name: str, user: str, origin: str = "") -> None:
    """Put them in; or say who keeps them there."""
    where = {"workspace": workspace, "group": name, "user": user}
    if not change(tx, group_members, *(group_members.c[key] == value for key, value in where.items()), origin=origin):
        add(tx, group_members, None, **where, origin=origin)


def remove_member(tx: Connection, user: str, workspace: str | None = None, name: str | None = None) -> int:
    """Out of one group, of all groups of a workspace, or of all groups that there are."""
    query = delete(group_members).where(group_members.c.user == user)
    if workspace is not None:
        query = query.where(group_members.c.workspace == workspace)
    if name is not None:
        query = query.where(group_members.c.group == name)
    return tx.execute(query).rowcount


def _members(origins: dict[str, str]) -> dict[str, object]:
    return {"members": tuple(origins), "origins": {user: origin for user, origin in origins.items() if origin}}
