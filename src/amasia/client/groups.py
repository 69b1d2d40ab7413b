"""Groups of a workspace's members, that grants can name."""

from amasia.client.inputs import request
from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.grants import Group, GroupRequest


def find(workspace: str | None = None, *, connection: Connection | None = None) -> list[Group]:
    """The groups of a workspace, with who is in each."""
    return list((connection or connect()).items(f"{path(workspace)}/groups", Group))


def create(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> Group:
    """Make an empty group; for admins of the workspace.

    Raises
    ------
    Conflict
        There is one of that name.
    """
    return (connection or connect()).post(f"{path(workspace)}/groups", request(GroupRequest, name=name), Group)


def delete(name: str, workspace: str | None = None, *, connection: Connection | None = None) -> None:
    """End a group, and what was granted to it."""
    (connection or connect()).delete(f"{path(workspace)}/groups/{name}")


def add(name: str, user: str, workspace: str | None = None, *, connection: Connection | None = None) -> Group:
    """Put a member or a service account into a group."""
    return (connection or connect()).put(f"{path(workspace)}/groups/{name}/members/{user}", None, Group)


def remove(name: str, user: str, workspace: str | None = None, *, connection: Connection | None = None) -> None:
    """Take somebody out of a group."""
    (connection or connect()).delete(f"{path(workspace)}/groups/{name}/members/{user}")
