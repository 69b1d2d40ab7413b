"""The tenant."""

from pydantic import Field

from amasia.models.base import Model, Name, Time
from amasia.models.permissions import Role


class Workspace(Model):
    name: Name
    currency: str = "EUR"
    regions: tuple[str, ...] = ()
    """Where it may have machines; empty for everywhere."""
    created_at: Time


class WorkspaceRequest(Model):
    name: Name
    currency: str = "EUR"


class PolicyRequest(Model):
    """What a workspace allows itself."""

    regions: tuple[str, ...] = Field(default=(), max_length=100)


class MemberRequest(Model):
    role: Role
