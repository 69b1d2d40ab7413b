"""The audit trail."""

from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.events import Event


def find(workspace: str | None = None, *, connection: Connection | None = None) -> list[Event]:
    """Who did what in a workspace, denials too; oldest first. For admins and owners."""
    return list((connection or connect()).items(f"{path(workspace)}/events", Event))
