"""The audit trail, for those who may see it, and what becomes of it: it goes elsewhere, and ends when its time is over.

Nothing here changes what was written: the database itself refuses that.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from amasia.database import events as rows
from amasia.database import exports
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.events import DROPPED, Event, EventFilter, Head
from amasia.models.permissions import Permission, Role, may
from amasia.models.users import ANONYMOUS, Principal

EVERYTHING = EventFilter()
OURS = frozenset({"amasia", "publisher", ANONYMOUS})
"""Actors that are no user, also where a user has such a name."""
HOLD = timedelta(minutes=1)
"""So long somebody may be at work on what is to go elsewhere."""


def find(
    db: Database, workspace: str | None, before: int | None, limit: int = 100, wanted: EventFilter = EVERYTHING
) -> list[Event]:
    """Newest first; with no workspace, those of the control plane itself."""
    with db.read() as tx:
        return rows.page(tx, workspace, wanted, before, limit)


def seen(
    db: Database,
    who: Principal,
    role: Role,
    workspace: str,
    before: int | None,
    limit: int = 100,
    wanted: EventFilter = EVERYTHING,
) -> list[Event]:
    """Newest first, those of a workspace that somebody may see: all of them, or what they did themselves."""
    if may(role, Permission.audit):
        return find(db, workspace, before, limit, wanted)
    if who.user in OURS or wanted.actor not in (None, who.user):
        return []
    mine = find(db, workspace, before, limit, wanted.model_copy(update={"actor": who.user}))
    # How many there are of others is nothing that they did.
    return [one.model_copy(update={"seq": 0, "hash": ""}) for one in mine]


def follow(db: Database, workspace: str | None, after: int, limit: int = 100) -> list[Event]:
    """Those with numbers above one, in their order: to check their chain."""
    with db.read() as tx:
        return rows.following(tx, workspace, after, limit)


def head(db: Database, workspace: str | None) -> Head:
    with db.read() as tx:
        return rows.head(tx, workspace)


def claim(db: Database, sink: str, limit: int = 500) -> exports.Batch | None:
    """The next events that a place outside has not got; nobody else gets them for a minute."""
    with db.read() as tx:
        if not exports.waiting(tx, sink, now()):
            return None
    with db.write(quiet=True) as tx:
        return exports.claim(tx, sink, now(), now() + HOLD, limit)


def exported(db: Database, batch: exports.Batch) -> None:
    with db.write(quiet=True) as tx:
        exports.advance(tx, batch)


def drop(db: Database, older_than: datetime, sinks: Iterable[str]) -> int:
    """End the events that are older and that every place outside has got; how many.

    Their last number and hash stay, and an event says so: the chain can be checked from there on.
    """
    dropped = 0
    with db.read() as tx:
        found = rows.heads(tx)
    for one in found:
        with db.write() as tx:
            most = exports.least(tx, one.workspace, sinks, one.seq)
            last = rows.last_before(tx, one.workspace, older_than, most)
            if last is None:
                continue
            rows.append(tx, actor="amasia", verb=DROPPED, target=f"events up to {last.seq}", workspace=one.workspace,
                        seq=last.seq, hash=last.hash)  # fmt: skip
            dropped += rows.drop(tx, last)
    return dropped
