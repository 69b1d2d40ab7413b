"""Who may do what with one repository, and the groups and service accounts that this can be said of."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from amasia.models.base import Model, Name, Time, check_name
from amasia.models.permissions import Role
from amasia.models.users import Scope


class Level(StrEnum):
    """What somebody may do with a repository; each level holds the ones before it."""

    none = "none"
    """Not even see that it is there."""
    read = "read"
    write = "write"
    """Also commit."""
    admin = "admin"
    """Also delete it and say who else may."""

    @property
    def rank(self) -> int:
        return list(Level).index(self)


EVERYONE = "everyone"
"""Every member of the repository's workspace."""
PUBLIC = "public"
"""Whoever asks, without an account."""
KINDS = ("user", "group", "account")


def check_grantee(value: str) -> str:
    kind, colon, name = value.partition(":")
    if value in (EVERYONE, PUBLIC):
        return value
    if not colon or kind not in KINDS:
        raise ValueError(f"{value!r} is nobody: write user:NAME, group:NAME, account:NAME, everyone or public")
    check_name(name)
    return value


Grantee = Annotated[str, AfterValidator(check_grantee)]
"""``user:ada``, ``group:ocean``, ``account:nightly``, ``everyone`` or ``public``."""

ROLES: dict[Role, Level] = {
    Role.guest: Level.none,
    Role.auditor: Level.none,
    Role.billing: Level.none,
    Role.viewer: Level.read,
    Role.member: Level.write,
    Role.admin: Level.admin,
    Role.owner: Level.admin,
}
"""What a role gives where no grant says otherwise."""

SCOPES: dict[Scope, Level] = {
    Scope.everything: Level.admin,
    Scope.data: Level.write,
    Scope.read: Level.read,
    Scope.public: Level.read,
    Scope.machine: Level.none,
    Scope.publish: Level.none,
}
"""The most that a token of a scope may do, whoever holds it."""


class Grant(Model):
    """What one grantee may do with one repository."""

    repository: str
    """As ``workspace/name``."""
    grantee: Grantee
    level: Level
    granted_by: str
    at: Time


class GrantRequest(Model):
    level: Level


class Group(Model):
    """Members of a workspace that grants can name together."""

    workspace: Name
    name: Name
    members: tuple[Name, ...] = ()
    origins: dict[Name, str] = {}
    """Members whom the claims of an issuer put there, and may take out again, with that issuer."""
    created_at: Time

    def shown(self, member: str) -> str:
        """A member, and that a claim put them there."""
        return f"{member} (by claim)" if member in self.origins else member


class GroupRequest(Model):
    name: Name


class Account(Model):
    """A service account: a member that is a program. It has tokens and no password."""

    workspace: Name
    name: Name
    role: Role
    created_at: Time


class AccountRequest(Model):
    name: Name
    role: Role = Role.guest
    """Guest has nothing but what grants give. A service account is never an owner."""
