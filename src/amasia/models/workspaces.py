"""The tenant."""

from typing import Annotated

from pydantic import Field

from amasia.models.base import Model, Name, Time
from amasia.models.calendars import Zone
from amasia.models.permissions import Role


class Workspace(Model):
    name: Name
    currency: str = "EUR"
    regions: tuple[str, ...] = ()
    """Where it may have machines; empty for everywhere."""
    time_zone: Zone = "UTC"
    """Whose midnights the days and months of its budgets turn at."""
    created_at: Time


class WorkspaceRequest(Model):
    name: Name
    currency: str = "EUR"


class PolicyRequest(Model):
    """What a workspace allows itself; None to leave it as it is."""

    regions: Annotated[tuple[str, ...], Field(max_length=100)] | None = None
    time_zone: Zone | None = None


class MemberRequest(Model):
    role: Role
