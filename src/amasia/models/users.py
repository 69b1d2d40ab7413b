"""Users, their tokens, and whoever is behind a request."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

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
    public = "public"
    """Nobody's: no token was sent. Reads public repositories, and nothing else."""
    publish = "publish"
    """What a publishing process carries: read what is published, whoever owns it, and nothing else."""


ANONYMOUS = "anonymous"
"""Who has no token, as the audit trail names them; no user has this name."""


LOCAL = "local"
"""Issuer of people who sign in by password."""
SERVICE = "service"
"""Issuer of service accounts, whose subject is ``workspace/name``; they have tokens only."""
HOUSE = "amasia"
"""Issuer of the control plane's own processes, such as the publishing one; they are nobody's account."""


class User(Model):
    id: str
    name: Name
    issuer: str = LOCAL
    subject: str
    operator: bool = False
    """May make workspaces and users. Says nothing about data."""
    created_at: Time


class PasswordRequest(Model):
    """One's own new password. Ends every token of one's own but the one that asks."""

    old: str = Field(repr=False)
    new: str = Field(repr=False, min_length=8, max_length=1000)


class PasswordReset(Model):
    """Another one's new password, by an operator. Ends every token of theirs."""

    new: str = Field(repr=False, min_length=8, max_length=1000)


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
    idle_seconds: int | None = None
    """A session's: it ends when it was not used for so long."""


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


def check_scope(value: Scope) -> Scope:
    if value is Scope.public:
        raise ValueError("what is public needs no token")
    return value


class TokenRequest(Model):
    label: str = "token"
    scope: Annotated[Scope, AfterValidator(check_scope)] = Scope.everything
    days: int = Field(default=90, ge=1, le=366)


class Membership(Model):
    workspace: Name
    user: Name
    role: Role
    origin: str = ""
    """The issuer whose claims gave it, and may take it again; empty where somebody gave it."""
    claims: tuple[str, ...] = ()
    """Those that gave it, such as ``groups=climate``."""

    @property
    def by(self) -> str:
        """Where it came from, in words."""
        return f"{', '.join(self.claims) or 'claims'} of {self.origin}" if self.origin else "by hand"


class Me(Model):
    """Who the control plane takes you for."""

    user: User
    memberships: tuple[Membership, ...] = ()
    version: str


class Principal(Model):
    """Whoever is behind a request, as its token says."""

    user: Name
    """`ANONYMOUS` where no token was sent."""
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
        if self.scope is Scope.machine:
            return f"machine:{self.machine_id}"
        return "publisher" if self.scope is Scope.publish else self.user

    @property
    def anonymous(self) -> bool:
        return self.scope is Scope.public
