"""Users, their tokens, and whoever is behind a request."""

from enum import StrEnum

from pydantic import Field

from amasia.models.base import Model, Name, Time
from amasia.models.permissions import Role


class Scope(StrEnum):
    everything = "everything"
    """All that the user may do."""
    read = "read"
    """Only requests that change nothing."""
    machine = "machine"
    """The agent's own: heartbeats and the environment of its machine."""
    data = "data"
    """What tasks on a cluster carry: open and commit to repositories as the cluster's owner. Ends with the cluster."""


class User(Model):
    id: str
    name: Name
    issuer: str = "local"
    subject: str
    operator: bool = False
    """May make workspaces and users. Says nothing about data."""
    created_at: Time


class Token(Model):
    id: str
    user: Name
    label: str
    scope: Scope
    prefix: str
    """The first characters, to know it by; the token itself is never stored."""
    created_at: Time
    expires_at: Time
    last_used_at: Time | None = None


class NewToken(Model):
    """A token as it is shown once, to the person who made it."""

    token: Token
    secret: str = Field(repr=False)


class SignIn(Model):
    name: Name
    password: str = Field(repr=False)
    label: str = "sign-in"


class UserRequest(Model):
    name: Name
    password: str = Field(repr=False, min_length=8)
    operator: bool = False


class TokenRequest(Model):
    label: str = "token"
    scope: Scope = Scope.everything
    days: int = Field(default=90, ge=1, le=366)


class Membership(Model):
    workspace: Name
    user: Name
    role: Role


class Me(Model):
    """Who the control plane takes you for."""

    user: User
    memberships: tuple[Membership, ...] = ()
    version: str


class Principal(Model):
    """Whoever is behind a request, as its token says."""

    user: Name
    operator: bool
    scope: Scope
    token_id: str
    workspace: str | None = None
    """The only workspace that the token is good for; None for all of the user's."""
    cluster_id: str | None = None
    machine_id: str | None = None
    source: str = ""
    """Address that the request came from."""

    @property
    def actor(self) -> str:
        """As the audit trail names it."""
        return f"machine:{self.machine_id}" if self.scope is Scope.machine else self.user
