"""Budgets, charges and reservations.

``spent + reserved <= limit`` holds at every moment: a machine runs only on time that was reserved before.
"""

from pydantic import Field

from amasia.models.base import LARGEST, Model, Name, Time
from amasia.models.storage import StorageLine


class Budget(Model):
    workspace: Name
    limit: int
    """Micro-units. The machines of the workspace never cost more than this in all."""
    spent: int
    reserved: int
    """Promised to the leases of running machines."""
    currency: str = "EUR"


class BudgetRequest(Model):
    limit: int = Field(ge=0, le=LARGEST // 2)


class Charge(Model):
    """Append-only: one stretch of a machine's life."""

    id: int
    workspace: Name
    user: Name
    cluster_id: str | None
    machine_id: str
    machine_type: str
    group: str = ""
    """Worker group that it was in; empty for none."""
    start: Time
    end: Time
    milliseconds: int
    amount: int


class CostLine(Model):
    key: str
    """Of a worker group: ``cluster/group``."""
    milliseconds: int
    amount: int
    reserved: int = 0


class Costs(Model):
    """What was spent, cut in the ways people ask for. Each list of machine time sums to ``amount``."""

    workspace: Name
    currency: str
    milliseconds: int
    amount: int
    reserved: int
    limit: int
    by_user: tuple[CostLine, ...] = ()
    by_cluster: tuple[CostLine, ...] = ()
    by_repository: tuple[CostLine, ...] = ()
    """Cost of the clusters up to each commit, by the repository committed to, of those that one may
    see; ``(no commit)`` is the rest."""
    storage: tuple[StorageLine, ...] = ()
    """What repositories take up, and what that has cost."""
    storage_amount: int = 0
    """Their sum. It is spent besides ``amount``."""
