"""Signing in, tokens, and who you are."""

from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.models.users import Me, NewToken, SignIn, Token, TokenRequest
from amasia.settings import client_settings, save_profile


def sign_in(url: str, name: str, password: str, *, workspace: str = "") -> Me:
    """Sign in to a control plane and keep the token in the profile, for your eyes only.

    Parameters
    ----------
    workspace
        What names without a workspace belong to; empty for the first one that you are a member of.

    Raises
    ------
    NotSignedIn
        The name and the password do not go together.
    ControlPlaneDown
        Nothing answers at that address. The old profile stays.
    """
    new = Connection(url).post("/v1/sign-in", request(SignIn, name=name, password=password), NewToken)
    return keep(url, new.secret, workspace)


def keep(url: str, token: str, workspace: str = "") -> Me:
    """Check a token and keep it in the profile.

    Raises
    ------
    NotSignedIn
        The token is not known there. The old profile stays.
    """
    me = get(connection=Connection(url, token))
    chosen = workspace or (me.memberships[0].workspace if me.memberships else "")
    save_profile(client_settings().profile, url=url, token=token, workspace=chosen)
    return me


def sign_out() -> None:
    """Forget url and token of this computer's profile. The token itself goes on until it is revoked or expires."""
    client_settings().profile.unlink(missing_ok=True)


def get(*, connection: Connection | None = None) -> Me:
    """Who the control plane takes you for."""
    return (connection or connect()).get("/v1/me", Me)


def create_token(
    label: str = "token", *, scope: str = "everything", days: int = 90, connection: Connection | None = None
) -> NewToken:
    """Make a token. Its secret is in the answer and nowhere else.

    Parameters
    ----------
    scope
        ``everything``, or ``read`` for requests that change nothing.
    days
        Until it expires, 1 to 366.
    """
    body = request(TokenRequest, label=label, scope=scope, days=days)
    return (connection or connect()).post("/v1/tokens", body, NewToken)


def find_tokens(*, connection: Connection | None = None) -> list[Token]:
    """Your tokens, without their secrets."""
    return list((connection or connect()).items("/v1/tokens", Token))


def revoke_token(id: str, *, connection: Connection | None = None) -> None:
    """End a token at once."""
    (connection or connect()).delete(f"/v1/tokens/{id}")
