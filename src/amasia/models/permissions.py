"""Who may do what: roles in a workspace, and what each role may."""

from enum import StrEnum


class Role(StrEnum):
    owner = "owner"
    admin = "admin"
    billing = "billing"
    """Minds the money: sees all costs and sets budgets. No data, no machines."""
    member = "member"
    viewer = "viewer"
    """Reads data and starts nothing."""
    auditor = "auditor"
    """Reads the audit trail and who is a member. No data, no costs, no machines."""
    guest = "guest"
    """A member who has nothing but what grants on repositories give, and what they did themselves."""


class Permission(StrEnum):
    people = "people"
    """See who is a member, which groups and service accounts there are."""
    read = "read"
    """See what is in the workspace and read its repositories."""
    costs = "costs"
    """See what one spent and what budgets hold; whoever may set budgets sees what everybody spent."""
    run = "run"
    """Start clusters and stop one's own."""
    write = "write"
    """Create and write repositories, upload environments."""
    budget = "budget"
    """Make, change and delete budgets."""
    trail = "trail"
    """See what one did oneself; whoever may audit sees what everybody did."""
    audit = "audit"
    """Read the audit trail, and check that nothing in it was changed."""
    manage = "manage"
    """Stop anybody's machines, delete repositories, set members, policy, locations and buckets."""
    own = "own"
    """Make and unmake owners."""


_P = Permission
GRANTS: dict[Role, frozenset[Permission]] = {
    Role.guest: frozenset({_P.trail}),
    Role.auditor: frozenset({_P.trail, _P.people, _P.audit}),
    Role.viewer: frozenset({_P.trail, _P.people, _P.read, _P.costs}),
    Role.billing: frozenset({_P.trail, _P.people, _P.costs, _P.budget}),
    Role.member: frozenset({_P.trail, _P.people, _P.read, _P.costs, _P.run, _P.write}),
    Role.admin: frozenset(_P) - {_P.own},
    Role.owner: frozenset(_P),
}
STRENGTH = (Role.guest, Role.auditor, Role.viewer, Role.billing, Role.member, Role.admin, Role.owner)
"""Roles are no ladder; where one of several is to be had, it is the last of these."""
LOOKING = frozenset({_P.trail, _P.people, _P.read, _P.costs, _P.audit})
"""Those that change nothing: all that a token of scope *read* has."""


def may(role: Role | None, permission: Permission) -> bool:
    """Whether a role has a permission; no role has none."""
    return role is not None and permission in GRANTS[role]
