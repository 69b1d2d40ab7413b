"""Budgets: what the machines of a workspace may cost in all."""

from amasia.client.inputs import amount
from amasia.client.transport import Connection, connect
from amasia.client.workspaces import path
from amasia.models.budgets import Budget, BudgetRequest


def get(workspace: str | None = None, *, connection: Connection | None = None) -> Budget:
    """The budget of a workspace. Amounts are micro-units of its currency."""
    return (connection or connect()).get(f"{path(workspace)}/budget", Budget)


def set(limit: str | int, workspace: str | None = None, *, connection: Connection | None = None) -> Budget:
    """Set the limit of a workspace.

    Parameters
    ----------
    limit
        In the workspace's currency: 12, or ``"12.50"`` as text, because money is never a float.

    Raises
    ------
    InvalidRequest
        The limit is no amount of money.
    PermissionDenied
        Only admins and owners set budgets.
    """
    body = BudgetRequest(limit=amount(limit))
    return (connection or connect()).put(f"{path(workspace)}/budget", body, Budget)
