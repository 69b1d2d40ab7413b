"""Groups of members, so that a grant can name many at once."""

from typing import Any

from sqlalchemy import Connection

from amasia import errors
from amasia.database import events, grants, identities, secrets, users
from amasia.database import groups as rows
from amasia.database.engine import Database
from amasia.models.grants import Group, GroupRequest
from amasia.models.users import Principal


def known(tx: Connection, workspace: str, name: str) -> Group:
    """The group of that name, for every service that takes one."""
    found = rows.find(tx, workspace, name)
    if found is None:
        raise errors.NotFound(f"There is no group {name!r} in {workspace!r}.", cure="`amasia group list` shows them.")
    return found


def find(db: Database, workspace: str) -> list[Group]:
    with db.read() as tx:
        return rows.every_of(tx, workspace)


def create(db: Database, who: Principal, workspace: str, request: GroupRequest) -> Group:
    with db.write() as tx:
        if rows.find(tx, workspace, request.name):
            raise errors.Conflict(f"There is a group {request.name!r} already.", cure="Choose another name.")
        rows.add_group(tx, workspace, request.name)
        _say(tx, who, workspace, "group.create", request.name)
        return known(tx, workspace, request.name)


def delete(db: Database, who: Principal, workspace: str, name: str) -> None:
    """Its grants and secrets end with it."""
    with db.write() as tx:
        known(tx, workspace, name)
        grants.remove_grantee(tx, workspace, f"group:{name}")
        secrets.forget(tx, workspace, f"group:{name}")
        rows.delete_group(tx, workspace, name)
        _say(tx, who, workspace, "group.delete", name)


def add(db: Database, who: Principal, workspace: str, name: str, user: str) -> Group:
    """Repeatable."""
    with db.write() as tx:
        group = known(tx, workspace, name)
        if users.role(tx, workspace, user) is None:
            raise errors.NotFound(
                f"{user!r} is no member of {workspace!r}.", cure=f"Let them in: amasia workspace add {user} guest"
            )
        if user not in group.members or user in group.origins:  # by hand from now on, whatever claims say
            rows.add_member(tx, workspace, name, user)
            _say(tx, who, workspace, "group.add", name, user=user)
        return known(tx, workspace, name)


def remove(db: Database, who: Principal, workspace: str, name: str, user: str) -> None:
    with db.write() as tx:
        known(tx, workspace, name)
        if not rows.remove_member(tx, user, workspace, name):
            raise errors.NotFound(f"{user!r} is not in the group {name!r}.", cure="`amasia group list` shows who is.")
        identities.forget(tx, user, workspace, name)
        _say(tx, who, workspace, "group.remove", name, user=user)


def _say(tx: Connection, who: Principal, workspace: str, verb: str, target: str, **detail: Any) -> None:
    events.append(tx, actor=who.actor, verb=verb, target=target, workspace=workspace, source=who.source, **detail)
