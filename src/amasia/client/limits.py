"""What each workspace may take of a control plane."""

from amasia.client.inputs import request
from amasia.client.transport import Connection, connect, read
from amasia.client.workspaces import path
from amasia.models.limits import Allowance, LimitsRequest


def get(workspace: str | None = None, *, connection: Connection | None = None) -> Allowance:
    """What a workspace of yours may take, and what it takes."""
    return (connection or connect()).get(f"{path(workspace)}/limits", Allowance)


def find(*, connection: Connection | None = None) -> list[Allowance]:
    """Those of every workspace; for operators."""
    return list((connection or connect()).items("/v1/limits", Allowance))


def put(
    workspace: str,
    *,
    machines: int | None = None,
    starting: int | None = None,
    requests: int | None = None,
    repositories: int | None = None,
    secrets: int | None = None,
    log_bytes: int | None = None,
    connection: Connection | None = None,
) -> Allowance:
    """Say what a workspace may take; for operators. None leaves a limit as it is, 0 is no limit.

    Parameters
    ----------
    machines
        At a time.
    starting
        Of them those that are being started at a time; more wait.
    requests
        In a second, and ten times as many at once.
    repositories, secrets
        Of the workspace; secrets of all whom they are for together.
    log_bytes
        Kept of one machine's log.

    Raises
    ------
    NotFound
        There is no such workspace.
    PermissionDenied
        You are no operator.
    """
    body = request(LimitsRequest, machines=machines, starting=starting, requests=requests, repositories=repositories,
                   secrets=secrets, log_bytes=log_bytes)  # fmt: skip
    return (connection or connect()).put(f"/v1/limits/{workspace}", body, Allowance)


def reset(workspace: str, *, connection: Connection | None = None) -> Allowance:
    """Back to what every workspace may take; for operators."""
    response = (connection or connect()).send("DELETE", f"/v1/limits/{workspace}")
    return read(response, Allowance)
