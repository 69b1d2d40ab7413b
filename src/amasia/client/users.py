"""Accounts of a control plane; for its operators."""

from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.models.users import User, UserRequest


def find(*, connection: Connection | None = None) -> list[User]:
    """Everybody who has an account."""
    return list((connection or connect()).items("/v1/users", User))


def create(name: str, password: str, *, operator: bool = False, connection: Connection | None = None) -> User:
    """Make a local account.

    Parameters
    ----------
    password
        At least eight characters.
    operator
        May make users and workspaces. Says nothing about data.

    Raises
    ------
    Conflict
        There is one of that name.
    """
    body = request(UserRequest, name=name, password=password, operator=operator)
    return (connection or connect()).post("/v1/users", body, User)
