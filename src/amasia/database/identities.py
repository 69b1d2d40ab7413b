"""Named queries on identities elsewhere, and on invitations to bring one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, cast, delete, select

from amasia.database.rows import add, change, every, one
from amasia.database.tables import identities, invitations
from amasia.models.base import now
from amasia.models.identities import Given, Identity, Invitation


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


def gives(tx: Connection, identity: Identity, given: Mapping[str, Given]) -> None:
    """From now on, and nothing else."""
    where = (identities.c.issuer == identity.issuer, identities.c.subject == identity.subject)
    change(tx, identities, *where, given=_json(given))


def unseen(tx: Connection, before: datetime) -> list[Identity]:
    """Those whose claims give something, and by which nobody signed in since a time."""
    return every(tx, select(identities).where(*_unseen(before)).order_by(identities.c.user), Identity)


def lapse(tx: Connection, identity: Identity, before: datetime) -> bool:
    """It gives nothing any more; False where somebody signed in by it after all."""
    where = (identities.c.issuer == identity.issuer, identities.c.subject == identity.subject)
    return change(tx, identities, *where, *_unseen(before), given={}) > 0


def forget(tx: Connection, user: str, workspace: str, group: str = "") -> None:
    """What claims gave somebody there, or a place in this group only, until they say it again."""
    for identity in of_user(tx, user):
        if workspace not in identity.given:
            continue
        here = identity.given[workspace]
        less = here.model_copy(update={"groups": tuple(name for name in here.groups if name != group)})
        others = {name: given for name, given in identity.given.items() if name != workspace}
        gives(tx, identity, others | ({workspace: less} if group else {}))


def _unseen(before: datetime) -> tuple[ColumnElement[bool], ...]:
    return identities.c.last_used_at < before, cast(identities.c.given, Text) != "{}"


def _json(given: Mapping[str, Given]) -> dict[str, Any]:
    return {workspace: one.model_dump(mode="json") for workspace, one in given.items()}


def invite(tx: Connection, invitation: Invitation, hashed: str) -> None:
    """A new one takes the place of the one before."""
    tx.execute(delete(invitations).where(invitations.c.user == invitation.user))
    add(tx, invitations, invitation, hash=hashed)


def invited(tx: Connection, hashed: str) -> Invitation | None:
    query = select(invitations).where(invitations.c.hash == hashed, invitations.c.expires_at > now())
    return one(tx, query, Invitation)


def end_invitation(tx: Connection, user: str) -> None:
    tx.execute(delete(invitations).where(invitations.c.user == user))
