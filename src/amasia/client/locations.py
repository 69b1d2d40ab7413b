"""Where machines come from, and what they cost there."""

from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.locations import Location


def find(workspace: str | None = None, *, connection: Connection | None = None) -> list[Location]:
    """The locations of a workspace with their machine types; prices in micro-units per hour."""
    return list((connection or connect()).items(f"{path(workspace)}/locations", Location))
