"""Signing in, tokens, and who you are."""

import socket
import time
from collections.abc import Callable

from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.errors import PermissionDenied, TimedOut, TooOften
from amasia.models.devices import DeviceAnswer, DeviceCodes, DevicePoll, DeviceRequest, DeviceStatus
from amasia.models.identities import SignInWays
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


def ways(url: str) -> SignInWays:
    """How people get in there: the titles of its providers, and who becomes a user."""
    return Connection(url).get("/v1/sign-in", SignInWays)


def sign_in_by_device(url: str, show: Callable[[DeviceCodes], None], *, workspace: str = "", days: int = 90) -> Me:
    """Have somebody with a browser let this computer in, and keep the token in the profile.

    Parameters
    ----------
    show
        Called once, with the code and the address where it is typed.
    days
        Life of the token, 1 to 366. It is named by this host.

    Raises
    ------
    PermissionDenied
        It was sent away.
    TimedOut
        Nobody answered in time.
    """
    connection = Connection(url)
    body = request(DeviceRequest, label=f"amasia login on {socket.gethostname()}"[:100], days=days)
    codes = connection.post("/v1/device", body, DeviceCodes)
    show(codes)
    return keep(url, _wait(connection, codes), workspace)


def _wait(connection: Connection, codes: DeviceCodes) -> str:
    interval, poll = float(codes.interval), DevicePoll(device_code=codes.device_code)
    end = time.monotonic() + codes.expires_in
    while time.monotonic() < end:
        time.sleep(interval)
        try:
            answer = connection.post("/v1/device/token", poll, DeviceAnswer)
        except TooOften:
            interval += codes.interval
            continue
        if answer.token is not None:
            return answer.token.secret
        if answer.status is DeviceStatus.denied:
            raise PermissionDenied("This computer was sent away.", cure="Was it you? Start amasia login again.")
        if answer.status is DeviceStatus.expired:
            break
    raise TimedOut("Nobody let this computer in in time.", cure="Start amasia login again.")


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
