"""Accounts of a control plane; for its operators."""

from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.models.identities import InvitationRequest, NewInvitation
from amasia.models.users import PasswordRequest, PasswordReset, User, UserRequest


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


def invite(name: str, *, days: int = 7, connection: Connection | None = None) -> NewInvitation:
    """Let somebody sign in as a user by an identity of theirs; the user is made where there is none.

    The code is in the answer and nowhere else. It is good once, and takes the place of the one before.

    Parameters
    ----------
    days
        Until the code expires, 1 to 60.
    """
    body = request(InvitationRequest, name=name, days=days)
    return (connection or connect()).post("/v1/invitations", body, NewInvitation)


def change_password(old: str, new: str, *, connection: Connection | None = None) -> None:
    """Change your own. Ends your other tokens and sessions; machines that run keep theirs.

    Raises
    ------
    PermissionDenied
        The old one is wrong.
    """
    (connection or connect()).send("PUT", "/v1/me/password", request(PasswordRequest, old=old, new=new))


def reset_password(name: str, new: str, *, connection: Connection | None = None) -> None:
    """Set another one's; for operators. Ends their tokens and sessions."""
    (connection or connect()).send("PUT", f"/v1/users/{name}/password", request(PasswordReset, new=new))


def remove(name: str, *, connection: Connection | None = None) -> None:
    """End an account: sessions, tokens, memberships and grants at once; its clusters stop. Its commits keep its name.

    Raises
    ------
    Conflict
        It is your own, or the only owner of a workspace.
    """
    (connection or connect()).delete(f"/v1/users/{name}")
