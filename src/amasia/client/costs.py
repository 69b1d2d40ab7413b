"""What was spent, and on what."""

from datetime import datetime

from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.budgets import Charge
from amasia.models.costs import Costs


def get(workspace: str | None = None, *, since: datetime | None = None, connection: Connection | None = None) -> Costs:
    """Machine time and money of a workspace, by user, cluster and repository.

    Parameters
    ----------
    since
        Count charges from this time on; None for all.

    Returns
    -------
    Costs
        Amounts in micro-units of the workspace's currency, time in milliseconds.
    """
    start = since.isoformat() if since else None
    return (connection or connect()).get(f"{path(workspace)}/costs", Costs, since=start)


def charges(workspace: str | None = None, *, connection: Connection | None = None) -> list[Charge]:
    """Every charge of a workspace, oldest first: one stretch of one machine's life each."""
    return list((connection or connect()).items(f"{path(workspace)}/charges", Charge))
