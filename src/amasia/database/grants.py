"""Named queries on grants, and the one expression that says what somebody may do with a repository."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    Subquery,
    and_,
    case,
    delete,
    false,
    func,
    literal,
    or_,
    select,
    union_all,
)
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
_READING = [role.value for role, level in ROLES.items() if level.rank >= Level.read.rank]
_PUBLIC = repositories.c.id.in_(
    select(grants.c.repository_id).where(grants.c.grantee == PUBLIC, grants.c.rank >= Level.read.rank)
)


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


def visible(who: Principal) -> ColumnElement[bool]:
    """For the ``where`` of a query on `repositories`: those that a principal may read at least, public ones too.

    What `rank_of` says of one row, said of all at once: a search has thousands of them.
    """
    if SCOPES[who.scope].rank < Level.read.rank:
        return false()
    return _PUBLIC if who.anonymous else or_(_visible(who.user, who.workspace), _PUBLIC)


@lru_cache(256)
def _visible(user: str, workspace: str | None) -> ColumnElement[bool]:
    """To members. Kept, since to build it takes longer than to run it."""
    particular = _particular(user)
    granted = select(particular.c.repository_id).where(particular.c.rank >= Level.read.rank)
    of_role = and_(
        repositories.c.workspace.in_(_workspaces(user, _READING)),
        repositories.c.id.not_in(select(particular.c.repository_id)),
    )
    found = or_(repositories.c.workspace.in_(_workspaces(user, _ALWAYS)), repositories.c.id.in_(granted), of_role)
    return found if workspace is None else and_(repositories.c.workspace == workspace, found)


def _particular(user: str) -> Subquery:
    """(repository_id, rank) where grants count for a member before what their role gives."""
    names = (("own", literal(f"user:{user}")), ("own", literal(f"account:{user}")), ("all", literal(EVERYONE)))
    members = select(memberships.c.workspace, memberships.c.user).where(memberships.c.user == user).subquery()
    kinds = [select(members.c.workspace, name.label("grantee"), literal(kind).label("kind")) for kind, name in names]
    of_groups = select(group_members.c.workspace, literal("group:") + group_members.c.group, literal("group")).join(
        members, and_(members.c.workspace == group_members.c.workspace, members.c.user == group_members.c.user)
    )
    mine = union_all(*kinds, of_groups).subquery()
    highest = [func.max(case((mine.c.kind == kind, grants.c.rank))) for kind in ("own", "group", "all")]
    return (
        select(grants.c.repository_id, func.coalesce(*highest).label("rank"))
        .join(repositories, repositories.c.id == grants.c.repository_id)
        .join(mine, and_(mine.c.workspace == repositories.c.workspace, mine.c.grantee == grants.c.grantee))
        .group_by(grants.c.repository_id)
        .subquery()
    )


def _workspaces(user: str, roles: Sequence[str]) -> Select[tuple[str]]:
    """Those that somebody is a member of, with one of some roles."""
    return select(memberships.c.workspace).where(memberships.c.user == user, memberships.c.role.in_(roles))


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
