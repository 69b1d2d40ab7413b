"""What somebody loses with a workspace: all of it, in one transaction; stores and machines hear of it in seconds."""

from sqlalchemy import Connection

from amasia.database import clusters, identities, users
from amasia.database import revocations as rows
from amasia.database.engine import Database
from amasia.models.base import new_id, now
from amasia.models.revocations import LONGEST, Revocation
from amasia.services import grants


def leave(tx: Connection, workspace: str, user: str) -> None:
    """End a membership: tokens of that workspace, grants, clusters, and what object stores lent.

    Machines lose their tokens with the rest, so that their agents end them at the next heartbeat; the reconcilers
    stop them besides. Shared clusters of others end too, where this user has the certificate: it cannot be taken back.
    """
    users.delete_member(tx, workspace, user)
    users.delete_tokens_of_member(tx, workspace, user)
    grants.forget(tx, user, workspace)
    identities.forget(tx, user, workspace)
    live = [one for one in clusters.live(tx) if one.workspace == workspace]
    held = rows.connected(tx, workspace, user, [one.id for one in live if one.spec.shared])
    for cluster in live:
        if cluster.owner == user:
            clusters.wish_stop(tx, cluster.id, f"{user} is no longer a member of {workspace}")
        elif cluster.id in held:
            clusters.wish_stop(tx, cluster.id, f"{user}, who could connect to it, is no longer a member")
    # What is lent to them from now on, should they come back, has another name.
    kept = session(tx, workspace, user)
    rows.put(tx, Revocation(id=new_id("rv"), workspace=workspace, user=user, session=kept, at=now()))


def session(tx: Connection, workspace: str, user: str) -> str:
    """What stores call whatever is lent to them in this workspace, until the next time that it is taken back."""
    last = rows.latest(tx, workspace, user)
    return user if last is None else f"{last.id[-6:]}@{user}"


def find(db: Database) -> list[Revocation]:
    """Those that still count: names under which something may still be good."""
    at = now()
    with db.read() as tx:
        found = rows.every_one(tx)
    if any(one.over(at) for one in found):
        with db.write() as tx:
            rows.forget(tx, at - LONGEST)
    return [one for one in found if not one.over(at)]
