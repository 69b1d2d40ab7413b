"""Where machines come from, and what they cost there."""

import time
import tomllib
from pathlib import Path
from typing import Any

from amasia import errors
from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.locations import Location, LocationChange, LocationRequest, LocationStatus

LOOKED = 60
"""Seconds to wait for a location to be looked at."""


def find(workspace: str | None = None, *, connection: Connection | None = None) -> list[Location]:
    """The locations of a workspace with their machine types; prices in micro-units per hour."""
    return list((connection or connect()).items(f"{path(workspace)}/locations", Location))


def get(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> Location:
    """One location, with what its last check found.

    Raises
    ------
    NotFound
        The workspace has none of that name.
    """
    return (connection or connect()).get(f"{path(workspace)}/locations/{name}", Location)


def create(
    name: str,
    provider: str,
    workspace: str | None = None,
    *,
    region: str = "here",
    options: dict[str, Any] | None = None,
    secrets: dict[str, str] | None = None,
    max_machines: int = 64,
    control_plane: str = "",
    connection: Connection | None = None,
) -> Location:
    """Register a location; for admins of the workspace. The control plane then looks at it: see `checked`.

    Parameters
    ----------
    provider
        ``ssh``, ``slurm``, ``aws``, ``gcp``, ``azure``, or one that was added to the control plane.
    region
        The provider's word for where it is, such as ``eu-central-1``.
    options
        What the provider wants to know; see its how-to page.
    secrets
        Keys, by the names that the provider gives them; kept encrypted. Without any, the provider works with the
        control plane's own identity, which only operators may ask for.
    control_plane
        URL of the control plane as the machines see it, where that is another than yours.

    Raises
    ------
    Conflict
        There is one of that name.
    InvalidRequest
        It cannot be what was described.
    """
    body = request(
        LocationRequest,
        name=name,
        provider=provider,
        region=region,
        options=options or {},
        secrets=secrets or {},
        max_machines=max_machines,
        control_plane=control_plane,
    )
    return (connection or connect()).post(f"{path(workspace)}/locations", body, Location)


def update(
    name: str,
    workspace: str | None = None,
    *,
    options: dict[str, Any] | None = None,
    secrets: dict[str, str] | None = None,
    max_machines: int | None = None,
    control_plane: str | None = None,
    connection: Connection | None = None,
) -> Location:
    """Change a location, and have it looked at again; for admins of the workspace. Its machines go on.

    Parameters
    ----------
    options, secrets
        All that it shall have from now on; None leaves what it has. While it has machines, options may be added
        (another host), and none be changed or taken away.
    max_machines, control_plane
        As in `create`; None leaves them.

    Raises
    ------
    Conflict
        It has machines, and options that they may run by would change.
    NotFound
        The workspace has none of that name.
    """
    body = request(
        LocationChange, options=options, secrets=secrets, max_machines=max_machines, control_plane=control_plane
    )
    return (connection or connect()).patch(f"{path(workspace)}/locations/{name}", body, Location)


def check(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> Location:
    """Have the control plane look at it again, and wait for what it finds. For admins of the workspace."""
    (connection or connect()).post(f"{path(workspace)}/locations/{name}/checks", None, Location)
    return checked(name, workspace, connection=connection)


def checked(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> Location:
    """A location, when the control plane has looked at it; its ``status`` and ``findings`` say how it is.

    Raises
    ------
    TimedOut
        That takes longer than a minute; it goes on.
    """
    end = time.monotonic() + LOOKED
    while (found := get(name, workspace, connection=connection)).status is LocationStatus.requested:
        if time.monotonic() >= end:
            raise errors.TimedOut(
                f"Nobody could say within {LOOKED} s how the location {name!r} is.",
                cure=f"It goes on; see amasia location show {name}",
            )
        time.sleep(0.2)
    return found


def delete(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> None:
    """Forget a location; for admins of the workspace.

    Raises
    ------
    Conflict
        It has machines.
    """
    (connection or connect()).delete(f"{path(workspace)}/locations/{name}")


def read_config(file: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Options and secrets of a location from a TOML file.

    What stands under ``[secrets]`` is secret, and everything else an option. A secret that begins with ``@`` is the
    path of a file that holds it.

    Raises
    ------
    InvalidRequest
        The file, or one that it names, cannot be read.
    """
    try:
        options = tomllib.loads(file.read_text())
        found = options.pop("secrets", {})
        if not isinstance(found, dict):
            raise errors.InvalidRequest(f"`secrets` in {file} is no table.", cure='Write [secrets], then key = "@…".')
        secrets = {key: _secret(str(value), file.parent) for key, value in found.items()}
    except (OSError, ValueError, RuntimeError) as error:  # no TOML, no text, no such home, nested without end
        raise errors.InvalidRequest(f"{file} cannot be read ({error}).", cure="It is to be a TOML file.") from error
    return options, secrets


def _secret(value: str, folder: Path) -> str:
    return (folder / Path(value[1:]).expanduser()).read_text() if value.startswith("@") else value
