"""Named queries on users, tokens, workspaces and memberships."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, select

from amasia.database.rows import add, change, every, mapping, one
from amasia.database.tables import memberships, tokens, users, workspaces
from amasia.models.permissions import Role
from amasia.models.users import Membership, Token, User
from amasia.models.workspaces import Workspace


def add_user(tx: Connection, user: User, password_hash: str) -> None:
    add(tx, users, user, password_hash=password_hash)


def find_user(tx: Connection, name: str) -> User | None:
    return one(tx, select(users).where(users.c.name == name), User)


def password_hash(tx: Connection, name: str) -> str | None:
    return tx.execute(select(users.c.password_hash).where(users.c.name == name)).scalar()


def list_users(tx: Connection) -> list[User]:
    return every(tx, select(users).order_by(users.c.name), User)


def add_token(tx: Connection, token: Token, hashed: str, **bound: Any) -> None:
    """``bound``: workspace, cluster_id and machine_id of tokens that machines carry."""
    add(tx, tokens, token, hash=hashed, **bound)


def token_row(tx: Connection, hashed: str) -> RowMapping | None:
    """A token's columns joined with its user's ``operator``."""
    query = select(tokens, users.c.operator).join(users, users.c.name == tokens.c.user).where(tokens.c.hash == hashed)
    return mapping(tx, query)


def list_tokens(tx: Connection, user: str) -> list[Token]:
    """The tokens that people made; those of machines end by themselves."""
    query = select(tokens).where(tokens.c.user == user, tokens.c.cluster_id.is_(None))
    return every(tx, query.order_by(tokens.c.created_at), Token)


def touch_token(tx: Connection, token_id: str, at: datetime) -> None:
    change(tx, tokens, tokens.c.id == token_id, last_used_at=at)


def delete_token(tx: Connection, token_id: str, user: str) -> int:
    return tx.execute(delete(tokens).where(tokens.c.id == token_id, tokens.c.user == user)).rowcount


def delete_tokens_of_machine(tx: Connection, machine_id: str) -> None:
    tx.execute(delete(tokens).where(tokens.c.machine_id == machine_id))


def delete_tokens_of_member(tx: Connection, workspace: str, user: str) -> None:
    tx.execute(delete(tokens).where(tokens.c.workspace == workspace, tokens.c.user == user))


def add_workspace(tx: Connection, workspace: Workspace) -> None:
    add(tx, workspaces, workspace)


def find_workspace(tx: Connection, name: str) -> Workspace | None:
    return one(tx, select(workspaces).where(workspaces.c.name == name), Workspace)


def workspaces_of(tx: Connection, user: str) -> list[Workspace]:
    query = select(workspaces).join(memberships, memberships.c.workspace == workspaces.c.name)
    return every(tx, query.where(memberships.c.user == user).order_by(workspaces.c.name), Workspace)


def role(tx: Connection, workspace: str, user: str) -> Role | None:
    query = select(memberships.c.role).where(memberships.c.workspace == workspace, memberships.c.user == user)
    found = tx.execute(query).scalar()
    return Role(found) if found else None


def memberships_of(tx: Connection, user: str) -> list[Membership]:
    return every(tx, select(memberships).where(memberships.c.user == user), Membership)


def members(tx: Connection, workspace: str) -> list[Membership]:
    query = select(memberships).where(memberships.c.workspace == workspace).order_by(memberships.c.user)
    return every(tx, query, Membership)


def set_member(tx: Connection, member: Membership) -> None:
    where = (memberships.c.workspace == member.workspace, memberships.c.user == member.user)
    if not change(tx, memberships, *where, role=member.role):
        add(tx, memberships, member)


def delete_member(tx: Connection, workspace: str, user: str) -> int:
    query = delete(memberships).where(memberships.c.workspace == workspace, memberships.c.user == user)
    return tx.execute(query).rowcount
