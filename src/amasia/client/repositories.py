"""Repositories as the control plane knows them: make, find, forget. `client.arrays` opens what is in them."""

from amasia import errors
from amasia.client import workspaces
from amasia.client.inputs import request
from amasia.client.transport import connect
from amasia.models import repositories as models
from amasia.models.base import split_repository
from amasia.models.repositories import RepositoryRequest, RepositoryStatus

MADE = 30
"""Seconds to wait for a new repository."""


def create(name: str, *, bucket: str | None = None, description: str = "") -> models.Repository:
    """Make a repository and wait until it is there.

    Parameters
    ----------
    bucket
        Of the workspace; None for its first.

    Raises
    ------
    Conflict
        There is one of that name.
    """
    workspace, repository = split_repository(name)
    body = request(RepositoryRequest, name=repository, bucket=bucket, description=description)
    connect().post(f"{workspaces.path(workspace)}/repositories", body, models.Repository)
    return ready(workspace, repository)


def find(workspace: str) -> list[models.Repository]:
    """The repositories of a workspace."""
    return list(connect().items(f"{workspaces.path(workspace)}/repositories", models.Repository))


def delete(name: str) -> None:
    """Forget a repository; its objects stay in the bucket under its id, for an administrator to restore or remove."""
    connect().delete(path(*split_repository(name)))


def ready(workspace: str, repository: str) -> models.Repository:
    """A repository's record, when it is there."""
    found = connect().get(path(workspace, repository), models.Repository, wait=MADE)
    if found.status is RepositoryStatus.failed:
        raise errors.Unavailable(
            f"{found.full_name} could not be made: {found.reason}", cure="Delete it, mend the bucket, make it again."
        )
    if found.status is RepositoryStatus.requested:
        raise errors.TimedOut(
            f"{found.full_name} is not there after {MADE} s.", cure="Does the object store run? `amasia status` tells."
        )
    return found


def path(workspace: str, repository: str) -> str:
    """Its address in the API."""
    return f"{workspaces.path(workspace)}/repositories/{repository}"
