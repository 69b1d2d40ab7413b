"""Secrets for processes on machines: set and removed here, and read by nobody but the machines of your clusters."""

from collections.abc import Iterable
from html import escape

from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.secrets import Secret, SecretRequest


class Secrets(list[Secret]):
    """What is told of some secrets, as a table in a notebook. Their values are in no answer of the control plane."""

    def __init__(self, found: Iterable[Secret]) -> None:
        super().__init__(found)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("secret", "for", "set by", "set", "last used"))
        rows = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in _cells(one))}</tr>" for one in self)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def find(workspace: str | None = None, *, connection: Connection | None = None) -> Secrets:
    """The secrets that your clusters may use; all of a workspace, for its admins. Shows as a table in a notebook."""
    return Secrets((connection or connect()).items(f"{path(workspace)}/secrets", Secret))


def set(
    name: str,
    value: str,
    workspace: str | None = None,
    *,
    grantee: str | None = None,
    connection: Connection | None = None,
) -> Secret:
    """Set a secret, or another value of one. Machines that start from now on are lent it.

    Parameters
    ----------
    name
        Of the variable that processes find it in, such as ``"COPERNICUS_KEY"``.
    value
        At least 8 characters in one of its lines, at most 32 KiB. It can be replaced and removed, and not be read.
    grantee
        Whose clusters may use it: ``"user:ada"``, ``"group:ocean"``, ``"account:nightly"`` or ``"everyone"``; None
        for yours. Of a name the nearest counts: one's own before a group's before everyone's.

    Raises
    ------
    InvalidRequest
        It is no name of a variable, or too short to be hidden in logs.
    PermissionDenied
        It is for others than you, and you do not manage the workspace.
    """
    body = request(SecretRequest, value=value, grantee=grantee)
    return (connection or connect()).put(f"{path(workspace)}/secrets/{name}", body, Secret)


def remove(
    name: str, workspace: str | None = None, *, grantee: str | None = None, connection: Connection | None = None
) -> None:
    """Forget a secret. Machines that have it keep it until they end; none is lent it any more.

    Raises
    ------
    NotFound
        There is none of that name for whom it is asked; None for you.
    """
    link = connection or connect()
    link.send("DELETE", f"{path(workspace)}/secrets/{name}", query={"grantee": grantee})


def _cells(one: Secret) -> tuple[object, ...]:
    used = f"{one.last_used_at:%Y-%m-%d %H:%M} UTC" if one.last_used_at else "never"
    return one.name, one.grantee, one.set_by, f"{one.set_at:%Y-%m-%d %H:%M} UTC", used
