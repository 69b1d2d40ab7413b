"""Machines that a workspace keeps warm, so that the next cluster need not wait for them."""

from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.standbys import Standby, StandbyRequest


def find(location: str, workspace: str | None = None, *, connection: Connection | None = None) -> list[Standby]:
    """What is kept warm at a location, and how much of it is there."""
    return list((connection or connect()).items(_path(location, workspace), Standby))


def keep(
    location: str,
    machine_type: str,
    machines: int,
    workspace: str | None = None,
    *,
    hours: float | None = None,
    connection: Connection | None = None,
) -> Standby:
    """Keep machines warm; for admins of the workspace. They cost what they cost at work; clusters take them first.

    Parameters
    ----------
    location, machine_type
        As `locations.get` lists them.
    machines
        How many; 0 for none any more.
    hours
        For how long; None until somebody says otherwise.
    """
    body = request(StandbyRequest, machines=machines, hours=hours)
    return (connection or connect()).put(f"{_path(location, workspace)}/{machine_type}", body, Standby)


def _path(location: str, workspace: str | None) -> str:
    return f"{path(workspace)}/locations/{location}/standbys"
