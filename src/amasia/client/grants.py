"""Who may do what with a repository."""

from amasia.client import repositories
from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.models.base import split_repository
from amasia.models.grants import Grant, GrantRequest


def find(repository: str, *, connection: Connection | None = None) -> list[Grant]:
    """What was granted on a repository. Owners and admins of its workspace may everything besides.

    Parameters
    ----------
    repository
        As ``workspace/name``.
    """
    return list((connection or connect()).items(_path(repository), Grant))


def put(repository: str, to: str, level: str, *, connection: Connection | None = None) -> Grant:
    """Say what somebody may do with a repository; for its admins.

    Parameters
    ----------
    to
        ``user:ada``, ``group:ocean``, ``account:nightly``, ``everyone`` (each member of the workspace) or ``public``
        (without an account; read only).
    level
        ``none``, ``read``, ``write`` or ``admin``. It takes the place of what their role gives.

    Raises
    ------
    NotFound
        There is no such member, group or account, or no such repository.
    """
    body = request(GrantRequest, level=level)
    return (connection or connect()).put(f"{_path(repository)}/{to}", body, Grant)


def remove(repository: str, to: str, *, connection: Connection | None = None) -> None:
    """Take a grant back, so that their role counts again."""
    (connection or connect()).delete(f"{_path(repository)}/{to}")


def _path(repository: str) -> str:
    return f"{repositories.path(*split_repository(repository))}/grants"
