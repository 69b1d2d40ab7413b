"""The caller's environment: captured here, kept by the control plane for machines."""

from collections.abc import Callable
from pathlib import Path

from amasia.client import workspaces
from amasia.client.transport import Connection
from amasia.environments.capture import Captured, capture
from amasia.errors import Conflict
from amasia.models.environments import EnvironmentRecord
from amasia.settings import client_settings


def capture_here(*, script: Path | None = None, progress: Callable[[str], None] = lambda message: None) -> Captured:
    """Capture the environment of this process, with the cache directory that settings name.

    Parameters
    ----------
    script
        The user's script, whose neighbours go along; None for the running one, or a notebook's directory.
    progress
        Called with a short phrase before each step that takes longer than a moment.

    Returns
    -------
    Captured
        Show its ``warnings`` to the user.

    Raises
    ------
    EnvironmentFailed
        See `amasia.environments.capture.capture`.
    """
    return capture(cache=client_settings().cache, script=script, progress=progress)


def ensure(
    connection: Connection,
    workspace: str,
    captured: Captured,
    progress: Callable[[str], None] = lambda message: None,
) -> str:
    """Make an environment known to a workspace and send those of its files that are missing there.

    Parameters
    ----------
    connection
        To the control plane.
    workspace
        Whose environment it becomes.
    captured
        As from `capture_here`.
    progress
        Called with a short phrase before each file that is sent.

    Returns
    -------
    str
        The environment's hash, for ``ClusterRequest.environment_hash``. May be called again at any time.

    Raises
    ------
    Conflict
        The control plane asks for a file that this environment does not have.
    """
    name = captured.environment.hash
    path = f"{workspaces.path(workspace)}/environments/{name}"
    record = connection.put(path, captured.environment, EnvironmentRecord)
    for digest in record.missing:
        file = captured.files.get(digest)
        if file is None:
            raise Conflict(
                f"The control plane misses a file {digest[:12]}… of environment {name[:12]}…, which has none such.",
                cure="Do client and control plane have the same version of Amasia? Compare `amasia --version`.",
            )
        progress(f"sending {file.name}")
        connection.upload(f"{workspaces.path(workspace)}/artifacts/{digest}", file.read_bytes())
    return name
