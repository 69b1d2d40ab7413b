"""The verbs of clusters. `amasia.Cluster` is built on these; they need no Dask."""

from collections.abc import Iterator
from time import monotonic

from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.errors import TimedOut
from amasia.models.clusters import Cluster, ClusterRequest, ClusterSpec, ClusterStatus, Quote, ScaleRequest, Security
from amasia.models.machines import LogLine

FOLLOW_SECONDS = 20
"""How long one request waits for news of a cluster."""


def find(workspace: str | None = None, *, stopped: bool = False, connection: Connection | None = None) -> list[Cluster]:
    """The clusters of a workspace.

    Parameters
    ----------
    stopped
        Include those that ended.
    """
    found = (connection or connect()).items(f"{path(workspace)}/clusters", Cluster, live=not stopped)
    return list(found)


def get(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> Cluster:
    """One cluster by the name of a live one, or by id.

    Raises
    ------
    NotFound
        There is none.
    """
    return (connection or connect()).get(_path(name, workspace), Cluster)


def create(
    spec: ClusterSpec,
    environment_hash: str,
    name: str | None = None,
    workspace: str | None = None,
    *,
    confirmed: bool = False,
    connection: Connection | None = None,
) -> Cluster:
    """Ask for a cluster. Its machines start after the answer; see `follow`.

    Parameters
    ----------
    confirmed
        You know what it may cost: needed where that is more than the workspace's `confirm_above`.

    Raises
    ------
    BudgetExceeded
        The first leases of its machines do not fit into the budget. Nothing was started.
    TooLarge
        No location here has such machines.
    Conflict
        A live cluster has that name.
    """
    body = request(ClusterRequest, name=name or None, environment_hash=environment_hash, spec=spec, confirmed=confirmed)
    return (connection or connect()).post(f"{path(workspace)}/clusters", body, Cluster)


def quote(spec: ClusterSpec, workspace: str | None = None, *, connection: Connection | None = None) -> Quote:
    """What a cluster would cost per hour, and where it would be. Nothing is started or reserved.

    Raises
    ------
    TooLarge
        No location here has such machines.
    """
    return (connection or connect()).post(f"{path(workspace)}/clusters/quotes", spec, Quote)


def follow(
    cluster: Cluster, *, timeout: float | None = None, connection: Connection | None = None
) -> Iterator[Cluster]:
    """Every new version of a cluster, the given one first, until it has stopped.

    Parameters
    ----------
    timeout
        Seconds after which to give up; None for never.

    Raises
    ------
    TimedOut
        The cluster goes on; only the following ended.
    """
    link = connection or connect()
    end = None if timeout is None else monotonic() + timeout
    while True:
        yield cluster
        if cluster.status == ClusterStatus.stopped:
            return
        wait = FOLLOW_SECONDS if end is None else min(FOLLOW_SECONDS, end - monotonic())
        if wait <= 0:
            raise TimedOut(f"Cluster {cluster.name} is still {cluster.status} after {timeout:g} s.")
        where = _path(cluster.id, cluster.workspace)
        cluster = link.get(where, Cluster, wait=round(wait, 1), version=cluster.version)


def scale(
    name: str,
    n_workers: int,
    workspace: str | None = None,
    *,
    worker_group: str = "",
    connection: Connection | None = None,
) -> Cluster:
    """Wish for a fixed number of workers.

    Parameters
    ----------
    n_workers
        Machines, 0 to 1000.
    worker_group
        Which ones; empty for those that are in no named group.
    """
    body = request(ScaleRequest, n_workers=n_workers, worker_group=worker_group)
    return (connection or connect()).patch(_path(name, workspace), body, Cluster)


def adapt(
    name: str,
    minimum: int,
    maximum: int,
    workspace: str | None = None,
    *,
    worker_group: str = "",
    connection: Connection | None = None,
) -> Cluster:
    """Let the scheduler's load decide how many workers there are, between two numbers.

    It is decided beside the scheduler, so it goes on when this process ends.

    Parameters
    ----------
    worker_group
        Which workers, by the tasks that ask for them; empty for those that are in no named group.
    """
    body = request(ScaleRequest, minimum=minimum, maximum=maximum, worker_group=worker_group)
    return (connection or connect()).patch(_path(name, workspace), body, Cluster)


def stop(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> None:
    """Wish for the end of a cluster; its machines end after the answer. May be repeated."""
    (connection or connect()).delete(_path(name, workspace))


def security(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> Security:
    """What a Dask client needs to connect: address and TLS keys.

    Raises
    ------
    PermissionDenied
        The cluster is somebody else's and not shared.
    """
    return (connection or connect()).get(f"{_path(name, workspace)}/security", Security)


def log(
    name: str,
    workspace: str | None = None,
    *,
    machine: str | None = None,
    after: int | None = None,
    connection: Connection | None = None,
) -> list[LogLine]:
    """What its machines wrote, oldest first.

    Parameters
    ----------
    machine
        Id of one machine; None for all.
    after
        Id of the last line that is known already.
    """
    where = f"{_path(name, workspace)}/log"
    return list((connection or connect()).items(where, LogLine, machine=machine, after=after))


def _path(name: str, workspace: str | None) -> str:
    return f"{path(workspace)}/clusters/{name}"
