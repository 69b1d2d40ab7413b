"""What you are told of budgets: at 50, 80 and 95 per cent, and when something is refused."""

from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.alerts import Alert
from amasia.models.base import Page


def find(workspace: str | None = None, *, connection: Connection | None = None) -> list[Alert]:
    """The last that you were told in a workspace, newest first."""
    return list((connection or connect()).items(f"{path(workspace)}/alerts", Alert))


def take(*, connection: Connection | None = None) -> list[Alert]:
    """What no terminal of yours has shown yet, of all workspaces. The next call gives none of these."""
    return list((connection or connect()).post("/v1/me/alerts", None, Page[Alert]).items)
