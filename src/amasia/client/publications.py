"""Publishing: read endpoints that other tools speak, off until a repository's admin turns them on."""

from collections.abc import Iterable

from amasia.client import repositories, workspaces
from amasia.client.inputs import request
from amasia.client.transport import connect
from amasia.models.base import split_repository
from amasia.models.publications import Publication, PublicationRequest


def put(name: str, protocols: Iterable[str], *, public: bool = False) -> Publication:
    """Publish a repository by these protocols and no others; for admins.

    Parameters
    ----------
    name
        ``workspace/repository``.
    protocols
        Of ``tiles``, ``edr`` and ``opendap``.
    public
        Whether people without an account may read it.

    Raises
    ------
    InvalidRequest
        No protocol, or one that there is not.
    PermissionDenied
    """
    body = request(PublicationRequest, protocols=tuple(protocols), public=public)
    return connect().put(_path(name), body, Publication)


def get(name: str) -> Publication:
    """How a repository is published.

    Raises
    ------
    NotFound
        It is not.
    """
    return connect().get(_path(name), Publication)


def find(workspace: str | None = None) -> list[Publication]:
    """What a workspace publishes, with addresses."""
    return list(connect().items(f"{workspaces.path(workspace)}/publications", Publication))


def delete(name: str) -> None:
    """Publish it no longer. Whoever is reading notices within seconds."""
    connect().delete(_path(name))


def _path(name: str) -> str:
    return f"{repositories.path(*split_repository(name))}/publication"
