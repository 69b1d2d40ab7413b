"""Named queries on users, tokens, workspaces and memberships."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, select

from amasia.database.rows import add, add_all, change, every, mapping, one
from amasia.database.tables import memberships, tokens, users, workspaces
from amasia.models.base import now
from amasia.models.grants import Account
from amasia.models.permissions import Role
from amasia.models.users import HOUSE, SERVICE, Membership, Token, User
from amasia.models.workspaces import Workspace


def add_user(tx: Connection, user: User, password_hash: str | None) -> None:
    """Without a hash, nobody signs in as them by a password."""
    add(tx, users, user, password_hash=password_hash)


def find_user(tx: Connection, name: str) -> User | None:
    """One that is not removed."""
    return one(tx, select(users).where(users.c.name == name, users.c.removed_at.is_(None)), User)


def is_taken(tx: Connection, name: str) -> bool:
    """Also by somebody who was removed."""
    return tx.execute(select(users.c.id).where(users.c.name == name)).first() is not None


def password_hash(tx: Connection, name: str) -> str | None:
    return tx.execute(select(users.c.password_hash).where(users.c.name == name)).scalar()


def set_password(tx: Connection, name: str, password_hash: str) -> None:
    change(tx, users, users.c.name == name, password_hash=password_hash)


def retire(tx: Connection, name: str) -> None:
    """The row stays, so that nobody else gets the name that the audit trail and commits know."""
    change(tx, users, users.c.name == name, password_hash=None, operator=False, removed_at=now())
    tx.execute(delete(tokens).where(tokens.c.user == name))
    tx.execute(delete(memberships).where(memberships.c.user == name))


def list_users(tx: Connection) -> list[User]:
    """People who are not removed."""
    query = select(users).where(users.c.issuer.not_in([SERVICE, HOUSE]), users.c.removed_at.is_(None))
    return every(tx, query.order_by(users.c.name), User)


def service_accounts(tx: Connection, workspace: str) -> list[Account]:
    query = (
        select(users.c.name, users.c.created_at, memberships.c.role, memberships.c.workspace)
        .join(memberships, memberships.c.user == users.c.name)
        .where(users.c.issuer == SERVICE, memberships.c.workspace == workspace, users.c.removed_at.is_(None))
    )
    return every(tx, query.order_by(users.c.name), Account)


def add_tokens(tx: Connection, made: Iterable[tuple[Token, str, Mapping[str, Any]]]) -> None:
    """Each with its digest, and the workspace, cluster_id and machine_id that it is bound to."""
    add_all(tx, tokens, ((token, {"hash": hashed, **bound}) for token, hashed, bound in made))


def token_row(tx: Connection, hashed: str) -> RowMapping | None:
    """A token's columns joined with its user's ``operator``."""
    query = select(tokens, users.c.operator).join(users, users.c.name == tokens.c.user).where(tokens.c.hash == hashed)
    return mapping(tx, query)


def list_tokens(tx: Connection, user: str) -> list[Token]:
    """The tokens that people made; those of machines end by themselves."""
    query = select(tokens).where(tokens.c.user == user, tokens.c.cluster_id.is_(None))
    return every(tx, query.order_by(tokens.c.created_at), Token)


def tokens_of_accounts(tx: Connection, workspace: str) -> list[Token]:
    """Those of the service accounts of a workspace."""
    query = select(tokens).join(users, users.c.name == tokens.c.user).where(tokens.c.cluster_id.is_(None))
    query = query.join(memberships, memberships.c.user == users.c.name)
    query = query.where(users.c.issuer == SERVICE, memberships.c.workspace == workspace)
    return every(tx, query.order_by(tokens.c.created_at), Token)


def touch_token(tx: Connection, token_id: str, at: datetime) -> None:
    change(tx, tokens, tokens.c.id == token_id, last_used_at=at)


def delete_token(tx: Connection, token_id: str, user: str) -> int:
    return tx.execute(delete(tokens).where(tokens.c.id == token_id, tokens.c.user == user)).rowcount


def delete_tokens_of_person(tx: Connection, user: str, but: str = "") -> None:
    """Those that people made, sessions too; not those that their machines carry."""
    tx.execute(delete(tokens).where(tokens.c.user == user, tokens.c.cluster_id.is_(None), tokens.c.id != but))


def delete_tokens_of_machines(tx: Connection, machine_ids: Iterable[str]) -> None:
    tx.execute(delete(tokens).where(tokens.c.machine_id.in_(list(machine_ids))))


def delete_tokens_of_member(tx: Connection, workspace: str, user: str) -> None:
    tx.execute(delete(tokens).where(tokens.c.workspace == workspace, tokens.c.user == user))


def add_workspace(tx: Connection, workspace: Workspace) -> None:
    add(tx, workspaces, workspace)


def find_workspace(tx: Connection, name: str) -> Workspace | None:
    return one(tx, select(workspaces).where(workspaces.c.name == name), Workspace)


def get_workspace(tx: Connection, name: str) -> Workspace:
    """One that is there, since whoever asks for it has a role in it."""
    found = find_workspace(tx, name)
    assert found is not None, name
    return found


def update_workspace(tx: Connection, name: str, **columns: Any) -> int:
    return change(tx, workspaces, workspaces.c.name == name, **columns)


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
    if not change(tx, memberships, *where, role=member.role, origin=member.origin, claims=member.claims):
        add(tx, memberships, member)


def delete_member(tx: Connection, workspace: str, user: str) -> int:
    query = delete(memberships).where(memberships.c.workspace == workspace, memberships.c.user == user)
    return tx.execute(query).rowcount
