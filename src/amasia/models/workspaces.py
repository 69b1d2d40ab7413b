"""The tenant."""

from typing import Annotated

from pydantic import Field

from amasia.models.base import LARGEST, Model, Name, Time
from amasia.models.calendars import Zone
from amasia.models.permissions import Role

NEVER = LARGEST // 2
"""As a rate: nothing costs so much that it is to be confirmed."""


class Workspace(Model):
    name: Name
    currency: str = "EUR"
    regions: tuple[str, ...] = ()
    """Where it may have machines; empty for everywhere."""
    time_zone: Zone = "UTC"
    """Whose midnights the days and months of its budgets turn at."""
    confirm_above: int = NEVER
    """Micro-units per hour: a cluster that may cost more is started only by who confirms it."""
    created_at: Time


class WorkspaceRequest(Model):
    name: Name
    currency: str = "EUR"


class PolicyRequest(Model):
    """What a workspace allows itself; None to leave it as it is."""

    regions: Annotated[tuple[str, ...], Field(max_length=100)] | None = None
    time_zone: Zone | None = None
    confirm_above: Annotated[int, Field(ge=0, le=NEVER)] | None = None


class MemberRequest(Model):
    role: Role
