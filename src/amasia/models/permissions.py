"""Who may do what: roles in a workspace, and what each role may."""

from enum import StrEnum


class Role(StrEnum):
    owner = "owner"
    admin = "admin"
    member = "member"
    viewer = "viewer"
    guest = "guest"
    """A member who has nothing but what grants on repositories give."""


class Permission(StrEnum):
    read = "read"
    """See what is in the workspace and read its repositories."""
    run = "run"
    """Start clusters and stop one's own."""
    write = "write"
    """Create and write repositories, upload environments."""
    manage = "manage"
    """Stop anybody's machines, delete repositories, set budgets, members and buckets."""
    own = "own"
    """Make and unmake owners."""


GRANTS: dict[Role, frozenset[Permission]] = {
    Role.guest: frozenset(),
    Role.viewer: frozenset({Permission.read}),
    Role.member: frozenset({Permission.read, Permission.run, Permission.write}),
    Role.admin: frozenset({Permission.read, Permission.run, Permission.write, Permission.manage}),
    Role.owner: frozenset(Permission),
}


def may(role: Role | None, permission: Permission) -> bool:
    """Whether a role has a permission; no role has none."""
    return role is not None and permission in GRANTS[role]
