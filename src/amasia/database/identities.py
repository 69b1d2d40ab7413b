"""Named queries on identities elsewhere, and on invitations to bring one."""

from datetime import datetime

from sqlalchemy import Connection, delete, func, or_, select

from amasia.database.rows import add, change, every, one
from amasia.database.tables import group_members, identities, invitations, memberships
from amasia.models.base import now
from amasia.models.identities import Identity, Invitation


def find(tx: Connection, issuer: str, subject: str) -> Identity | None:
    query = select(identities).where(identities.c.issuer == issuer, identities.c.subject == subject)
    return one(tx, query, Identity)


def of_user(tx: Connection, user: str) -> list[Identity]:
    return every(tx, select(identities).where(identities.c.user == user).order_by(identities.c.created_at), Identity)


def put(tx: Connection, identity: Identity) -> None:
    """Whose it is from now on, and what it was last seen with."""
    where = (identities.c.issuer == identity.issuer, identities.c.subject == identity.subject)
    seen = {"user": identity.user, "email": identity.email, "provider": identity.provider, "last_used_at": now()}
    if not change(tx, identities, *where, **seen):
        add(tx, identities, identity)


def unseen(tx: Connection, before: datetime) -> list[tuple[str, str]]:
    """(user, issuer) of those who have something by an issuer's claims and did not sign in by it since a time."""
    i, m, g = identities.c, memberships.c, group_members.c
    member = select(m.user).where(m.user == i.user, m.origin == i.issuer).exists()
    grouped = select(g.user).where(g.user == i.user, g.origin == i.issuer).exists()
    query = select(i.user, i.issuer).where(or_(member, grouped)).group_by(i.user, i.issuer)
    query = query.having(func.max(i.last_used_at) < before).order_by(i.user, i.issuer)
    return [(row.user, row.issuer) for row in tx.execute(query)]


def invite(tx: Connection, invitation: Invitation, hashed: str) -> None:
    """A new one takes the place of the one before."""
    tx.execute(delete(invitations).where(invitations.c.user == invitation.user))
    add(tx, invitations, invitation, hash=hashed)


def invited(tx: Connection, hashed: str) -> Invitation | None:
    query = select(invitations).where(invitations.c.hash == hashed, invitations.c.expires_at > now())
    return one(tx, query, Invitation)


def end_invitation(tx: Connection, user: str) -> None:
    tx.execute(delete(invitations).where(invitations.c.user == user))
