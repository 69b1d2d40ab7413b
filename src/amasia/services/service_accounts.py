"""Service accounts: members that are programs. They have tokens and no password, and belong to one workspace."""

from datetime import timedelta

from sqlalchemy import Connection

from amasia import errors
from amasia.database import events
from amasia.database import users as rows
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.grants import Account, AccountRequest
from amasia.models.permissions import Role
from amasia.models.users import ANONYMOUS, SERVICE, Membership, NewToken, Principal, Token, TokenRequest, User
from amasia.services.access import issue_token
from amasia.services.users import retire


def find(db: Database, workspace: str) -> list[Account]:
    with db.read() as tx:
        return rows.service_accounts(tx, workspace)


def create(db: Database, who: Principal, workspace: str, request: AccountRequest) -> Account:
    if request.role is Role.owner:
        raise errors.InvalidRequest("A service account is never an owner.", cure="Choose admin, or less.")
    user = User(
        id=new_id("us"), name=request.name, issuer=SERVICE, subject=f"{workspace}/{request.name}", created_at=now()
    )
    with db.write() as tx:
        if rows.is_taken(tx, user.name) or user.name == ANONYMOUS:
            raise errors.Conflict(f"The name {user.name!r} is taken already.", cure="Choose another name.")
        rows.add_user(tx, user, None)
        rows.set_member(tx, Membership(workspace=workspace, user=user.name, role=request.role))
        events.append(tx, actor=who.actor, verb="account.create", target=user.name, workspace=workspace,
                      source=who.source, role=request.role.value)  # fmt: skip
        return _known(tx, workspace, user.name)


def delete(db: Database, who: Principal, workspace: str, name: str) -> None:
    """Its tokens and grants end at once; its name stays taken, for the audit trail's sake."""
    with db.write() as tx:
        _known(tx, workspace, name)
        retire(tx, name)
        events.append(tx, actor=who.actor, verb="account.delete", target=name, workspace=workspace, source=who.source)


def find_tokens(db: Database, workspace: str, name: str) -> list[Token]:
    with db.read() as tx:
        _known(tx, workspace, name)
        return rows.list_tokens(tx, name)


def every_token(db: Database, workspace: str) -> list[Token]:
    """Of all accounts of a workspace."""
    with db.read() as tx:
        return rows.tokens_of_accounts(tx, workspace)


def create_token(db: Database, who: Principal, workspace: str, name: str, request: TokenRequest) -> NewToken:
    """For the account, and for its workspace only."""
    with db.write() as tx:
        _known(tx, workspace, name)
        life = timedelta(days=request.days)
        made = issue_token(tx, name, request.label, request.scope, life, workspace=workspace)
        events.append(tx, actor=who.actor, verb="account.token", target=name, workspace=workspace, source=who.source,
                      token=made.token.id, scope=request.scope.value, days=request.days)  # fmt: skip
    return made


def delete_token(db: Database, who: Principal, workspace: str, name: str, token_id: str) -> None:
    with db.write() as tx:
        _known(tx, workspace, name)
        if not rows.delete_token(tx, token_id, name):
            raise errors.NotFound(
                f"{name} has no token {token_id!r}.", cure=f"`amasia account tokens {name}` shows them."
            )
        events.append(tx, actor=who.actor, verb="account.token-end", target=name, workspace=workspace,
                      source=who.source, token=token_id)  # fmt: skip


def _known(tx: Connection, workspace: str, name: str) -> Account:
    found = next((account for account in rows.service_accounts(tx, workspace) if account.name == name), None)
    if found is None:
        raise errors.NotFound(
            f"There is no service account {name!r} in {workspace!r}.", cure="`amasia account list` shows them."
        )
    return found
