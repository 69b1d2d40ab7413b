"""The tenant."""

from amasia.models.base import Model, Name, Time
from amasia.models.permissions import Role


class Workspace(Model):
    name: Name
    currency: str = "EUR"
    created_at: Time


class WorkspaceRequest(Model):
    name: Name
    currency: str = "EUR"


class MemberRequest(Model):
    role: Role
