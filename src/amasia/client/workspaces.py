"""Workspaces and their members."""

from collections.abc import Sequence

from amasia.client.inputs import amount, request
from amasia.client.transport import Connection, connect
from amasia.errors import InvalidRequest
from amasia.models.permissions import Role
from amasia.models.users import Membership
from amasia.models.workspaces import NEVER, MemberRequest, PolicyRequest, Workspace, WorkspaceRequest
from amasia.settings import client_settings


def current(workspace: str | None = None) -> str:
    """The workspace meant: the one given, else that of the settings.

    Raises
    ------
    InvalidRequest
        Neither is there.
    """
    name = workspace or client_settings().workspace
    if not name:
        raise InvalidRequest(
            "No workspace was given, and the profile names none.",
            cure="Pass workspace=…, set AMASIA_WORKSPACE, or run `amasia workspace use NAME`.",
        )
    return name


def path(workspace: str | None = None) -> str:
    """Where on the wire a workspace is."""
    return f"/v1/workspaces/{current(workspace)}"


def find(*, connection: Connection | None = None) -> list[Workspace]:
    """The workspaces that you are a member of."""
    return list((connection or connect()).items("/v1/workspaces", Workspace))


def create(name: str, *, currency: str = "EUR", connection: Connection | None = None) -> Workspace:
    """Make a workspace; for operators.

    Raises
    ------
    Conflict
        There is one of that name.
    PermissionDenied
        You are no operator.
    """
    body = request(WorkspaceRequest, name=name, currency=currency)
    return (connection or connect()).post("/v1/workspaces", body, Workspace)


def set_regions(
    regions: Sequence[str], workspace: str | None = None, *, connection: Connection | None = None
) -> Workspace:
    """Say in which regions a workspace may have machines, none named for everywhere; for admins."""
    body = request(PolicyRequest, regions=tuple(regions))
    return (connection or connect()).put(f"{path(workspace)}/policy", body, Workspace)


def set_time_zone(zone: str, workspace: str | None = None, *, connection: Connection | None = None) -> Workspace:
    """Say at whose midnights the days and months of its budgets turn, such as ``"Europe/Zurich"``; for admins."""
    body = request(PolicyRequest, time_zone=zone)
    return (connection or connect()).put(f"{path(workspace)}/policy", body, Workspace)


def set_confirm_above(
    rate: str | int | None, workspace: str | None = None, *, connection: Connection | None = None
) -> Workspace:
    """Say above what price per hour a cluster is to be confirmed, None for never; for admins."""
    body = request(PolicyRequest, confirm_above=NEVER if rate is None else amount(rate))
    return (connection or connect()).put(f"{path(workspace)}/policy", body, Workspace)


def members(workspace: str | None = None, *, connection: Connection | None = None) -> list[Membership]:
    """Who is in a workspace, and as what."""
    return list((connection or connect()).items(f"{path(workspace)}/members", Membership))


def set_member(
    user: str, role: str, workspace: str | None = None, *, connection: Connection | None = None
) -> Membership:
    """Put a user into a workspace, or change their role.

    Parameters
    ----------
    role
        ``owner``, ``admin``, ``member`` or ``viewer``.
    """
    if role not in set(Role):
        raise InvalidRequest(f"{role!r} is no role.", cure=f"One of: {', '.join(Role)}.")
    body = MemberRequest(role=Role(role))
    return (connection or connect()).put(f"{path(workspace)}/members/{user}", body, Membership)


def remove_member(user: str, workspace: str | None = None, *, connection: Connection | None = None) -> None:
    """Take a user out of a workspace."""
    (connection or connect()).delete(f"{path(workspace)}/members/{user}")
