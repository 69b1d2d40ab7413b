"""Who somebody is elsewhere: an issuer's word, and what this control plane makes of it."""

from typing import Any

from pydantic import Field

from amasia.models.base import Model, Name, Time
from amasia.models.permissions import Role
from amasia.models.users import User


class Claims(Model):
    """What an issuer says of whoever signed in. Who they are is issuer and subject, and nothing else of it."""

    issuer: str
    subject: str = Field(min_length=1, max_length=255)
    provider: str
    """What the issuer is called here."""
    email: str = ""
    """To be shown; nobody is known by it."""
    name: str = ""
    """What they may be called here, if it is free."""
    said: dict[str, Any] = Field(default={}, repr=False)
    """Every claim, for the rules."""


class Given(Model):
    """What claims give in one workspace."""

    role: Role
    groups: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    """Those that did, as they are shown."""


class Identity(Model):
    """An issuer's subject is a user here; a user may have several."""

    issuer: str
    subject: str
    user: Name
    provider: str
    email: str = ""
    created_at: Time
    last_used_at: Time
    given: dict[Name, Given] = {}
    """By workspace, what its claims gave when they were last seen."""


class Invitation(Model):
    """Whoever brings its code may sign in as this user by an identity of theirs, once."""

    user: Name
    created_by: str
    created_at: Time
    expires_at: Time


class InvitationRequest(Model):
    name: Name
    """Of the user, who is made where there is none."""
    days: int = Field(default=7, ge=1, le=60)


class NewInvitation(Model):
    """An invitation as it is shown once, to whoever made it."""

    user: User
    invitation: Invitation
    code: str = Field(repr=False)
    url: str = ""
    """Where the code is typed."""


class SignInWays(Model):
    """How people get in here."""

    providers: tuple[str, ...] = ()
    """Titles of those that vouch for people; none where there are local accounts only."""
    sign_up: str = "closed"
