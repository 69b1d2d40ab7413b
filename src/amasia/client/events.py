"""The audit trail."""

from itertools import islice

from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.events import Event


def find(workspace: str | None = None, *, last: int = 100, connection: Connection | None = None) -> list[Event]:
    """Who did what in a workspace, denials too; newest first. For admins and owners.

    Parameters
    ----------
    last
        How many at most.
    """
    return list(islice((connection or connect()).items(f"{path(workspace)}/events", Event), last))
