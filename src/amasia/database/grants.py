"""Named queries on grants, and the one expression that says what somebody may do with a repository."""

from typing import Any

from sqlalchemy import Connection, Row, Select, and_, case, delete, func, literal, select
from sqlalchemy.sql.elements import ColumnElement

from amasia.database.rows import add, change
from amasia.database.tables import grants, group_members, memberships, repositories
from amasia.models.base import now
from amasia.models.grants import EVERYONE, PUBLIC, ROLES, SCOPES, Grant, Level
from amasia.models.permissions import Role
from amasia.models.repositories import Repository
from amasia.models.users import Principal

_LEVELS = tuple(Level)
_ALWAYS = [role.value for role in ROLES if role in (Role.owner, Role.admin)]


def rank_of(who: Principal, *, public: bool) -> ColumnElement[int]:
    """`Level.rank` of a principal on each row of `repositories`.

    Owners and admins of the workspace always have admin. For other members the most particular grant counts: their
    own, else the highest of their groups', else everyone's, else what their role gives. What is public everyone may
    read besides, where ``public`` counts. No token does more than its scope.
    """
    most = SCOPES[who.scope].rank
    open_to_all = func.coalesce(_granted(grants.c.grantee == PUBLIC), 0) if public else literal(0)
    if who.anonymous:
        return _least(open_to_all, most)
    role = (
        select(memberships.c.role)
        .where(memberships.c.workspace == repositories.c.workspace, memberships.c.user == who.user)
        .correlate(repositories)
        .scalar_subquery()
    )
    own = _granted(grants.c.grantee.in_([f"user:{who.user}", f"account:{who.user}"]))
    mine = (
        select(literal("group:") + group_members.c.group)
        .where(group_members.c.workspace == repositories.c.workspace, group_members.c.user == who.user)
        .correlate(repositories)
    )
    of_role = case({role.value: level.rank for role, level in ROLES.items()}, value=role, else_=0)
    as_member = case(
        (role.is_(None), 0),
        (role.in_(_ALWAYS), Level.admin.rank),
        else_=func.coalesce(own, _granted(grants.c.grantee.in_(mine)), _granted(grants.c.grantee == EVERYONE), of_role),
    )
    if who.workspace is not None:
        as_member = case((repositories.c.workspace == who.workspace, as_member), else_=0)
    return _least(case((as_member > open_to_all, as_member), else_=open_to_all), most)


def _granted(*where: ColumnElement[bool]) -> Any:
    """The highest rank among some grants on the row's repository; NULL where there is none."""
    query = select(func.max(grants.c.rank)).where(grants.c.repository_id == repositories.c.id, *where)
    return query.correlate(repositories).scalar_subquery()


def _least(found: ColumnElement[int], most: int) -> ColumnElement[int]:
    return case((found > most, most), else_=found)


def visible(who: Principal, *, public: bool = True) -> ColumnElement[bool]:
    """For the ``where`` of a query on `repositories`: those that a principal may read at least."""
    return rank_of(who, public=public) >= Level.read.rank


def find_repository(
    tx: Connection, who: Principal, workspace: str, name: str, *, public: bool
) -> tuple[Repository, Level] | None:
    """A repository, and what a principal may do with it."""
    query = select(repositories, rank_of(who, public=public).label("rank")).where(
        repositories.c.workspace == workspace, repositories.c.name == name
    )
    row = tx.execute(query).mappings().first()
    return None if row is None else (Repository.model_validate(dict(row)), _LEVELS[row["rank"]])


def put(tx: Connection, repository_id: str, grantee: str, level: Level, granted_by: str) -> None:
    where = (grants.c.repository_id == repository_id, grants.c.grantee == grantee)
    if not change(tx, grants, *where, rank=level.rank, granted_by=granted_by, at=now()):
        add(tx, grants, repository_id=repository_id, grantee=grantee, rank=level.rank, granted_by=granted_by, at=now())


def find(tx: Connection, repository_id: str) -> list[Grant]:
    rows = tx.execute(_GRANT.where(grants.c.repository_id == repository_id).order_by(grants.c.grantee))
    return [_grant(row) for row in rows]


def remove(tx: Connection, repository_id: str, grantee: str) -> int:
    where = (grants.c.repository_id == repository_id, grants.c.grantee == grantee)
    return tx.execute(delete(grants).where(*where)).rowcount


def remove_grantee(tx: Connection, workspace: str | None, *grantees: str) -> int:
    """End what some have in a workspace, or everywhere."""
    where: list[ColumnElement[bool]] = [grants.c.grantee.in_(grantees)]
    if workspace is not None:
        of_workspace = select(repositories.c.id).where(repositories.c.workspace == workspace)
        where.append(grants.c.repository_id.in_(of_workspace))
    return tx.execute(delete(grants).where(and_(*where))).rowcount


_GRANT: Select[Any] = select(
    grants, (repositories.c.workspace + "/" + repositories.c.name).label("repository")
).join(repositories, repositories.c.id == grants.c.repository_id)  # fmt: skip


def _grant(row: Row[Any]) -> Grant:
    fields = dict(row._mapping)
    return Grant.model_validate({**fields, "level": _LEVELS[fields["rank"]]})
