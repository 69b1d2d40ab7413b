"""Service accounts: members of a workspace that are programs, with tokens and without a password."""

from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.grants import Account, AccountRequest
from amasia.models.users import NewToken, Token, TokenRequest


def find(workspace: str | None = None, *, connection: Connection | None = None) -> list[Account]:
    """The service accounts of a workspace."""
    return list((connection or connect()).items(f"{path(workspace)}/accounts", Account))


def create(
    name: str, workspace: str | None = None, *, role: str = "guest", connection: Connection | None = None
) -> Account:
    """Make one; for admins of the workspace.

    Parameters
    ----------
    role
        ``guest`` for nothing but what grants give, or ``viewer``, ``member``, ``admin``.
    """
    body = request(AccountRequest, name=name, role=role)
    return (connection or connect()).post(f"{path(workspace)}/accounts", body, Account)


def delete(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> None:
    """End one, with its tokens and grants."""
    (connection or connect()).delete(f"{path(workspace)}/accounts/{name}")


def create_token(
    name: str,
    workspace: str | None = None,
    *,
    label: str = "token",
    scope: str = "everything",
    days: int = 90,
    connection: Connection | None = None,
) -> NewToken:
    """Make a token for one, good in its workspace only. Its secret is in the answer and nowhere else.

    Parameters
    ----------
    scope
        ``everything``, ``data`` for repositories only, or ``read`` for what changes nothing.
    days
        Until it expires, 1 to 366.
    """
    body = request(TokenRequest, label=label, scope=scope, days=days)
    return (connection or connect()).post(f"{path(workspace)}/accounts/{name}/tokens", body, NewToken)


def find_tokens(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> list[Token]:
    """The tokens of one, without their secrets."""
    return list((connection or connect()).items(f"{path(workspace)}/accounts/{name}/tokens", Token))


def revoke_token(
    name: str, token_id: str, workspace: str | None = None, *, connection: Connection | None = None
) -> None:
    """End a token at once."""
    (connection or connect()).delete(f"{path(workspace)}/accounts/{name}/tokens/{token_id}")
