"""Secrets: set and removed by people, lent to machines, and given back to nobody."""

import hashlib
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import Connection

from amasia import errors
from amasia.database import clusters, events, failures, groups, machines, users
from amasia.database import secrets as rows
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.clusters import Cluster
from amasia.models.grants import EVERYONE
from amasia.models.limits import NONE
from amasia.models.machines import MachineTarget
from amasia.models.permissions import Permission, Role, may
from amasia.models.secrets import Lent, Secret, SecretRequest
from amasia.models.users import SERVICE, Principal
from amasia.services import grants, limits
from amasia.services.access import deny

LENDINGS, WHILE = 300, timedelta(minutes=15)
"""A machine may ask so often in so long: more often than an agent that gets no answer. The same again is one event."""


def put(
    db: Database, who: Principal, role: Role, workspace: str, name: str, request: SecretRequest, *, most: int = NONE
) -> Secret:
    """Set it, for the caller or for somebody else. Machines that start from now on are lent the new one.

    Raises
    ------
    TooLarge
        It would be one more than the ``most`` that the workspace may have.
    """
    grantee = request.grantee or own(db, who)
    _require(db, who, role, workspace, grantee, "secret.set")
    secret = Secret(workspace=workspace, name=name, grantee=grantee, set_by=who.user, set_at=now())
    with db.write() as tx:
        grants.check_there(tx, workspace, grantee)
        if not rows.is_there(tx, workspace, grantee, name):
            limits.check_secrets(tx, workspace, most)
        rows.put(tx, secret, db.seal(tx, request.value))
        events.append(tx, actor=who.actor, verb="secret.set", target=name, workspace=workspace, source=who.source,
                      grantee=grantee)  # fmt: skip
    return secret


def remove(db: Database, who: Principal, role: Role, workspace: str, name: str, grantee: str | None) -> None:
    """Machines that have it keep it until they end; none is lent it any more."""
    grantee = grantee or own(db, who)
    _require(db, who, role, workspace, grantee, "secret.remove")
    with db.write() as tx:
        if not rows.remove(tx, workspace, grantee, name):
            raise errors.NotFound(
                f"{grantee} has no secret {name!r} in {workspace!r}.", cure="`amasia secret list` shows what there is."
            )
        events.append(tx, actor=who.actor, verb="secret.remove", target=name, workspace=workspace, source=who.source,
                      grantee=grantee)  # fmt: skip


def find(db: Database, who: Principal, role: Role, workspace: str) -> list[Secret]:
    """Those that somebody may use; all of them, for whoever manages the workspace."""
    with db.read() as tx:
        mine = None if may(role, Permission.manage) else _grantees(tx, workspace, who.user)
        return rows.of_workspace(tx, workspace, mine)


def own(db: Database, who: Principal) -> str:
    """What their own secrets are for: ``user:ada``."""
    with db.read() as tx:
        return _own(tx, who.user)


def check(tx: Connection, cluster: Cluster) -> None:
    """Refuse a cluster that asks for secrets which its owner may not use, or which there are not.

    Raises
    ------
    NotFound
        Says which, and how to set one.
    """
    if not cluster.spec.secrets:
        return
    found = {one.name for one in rows.of_workspace(tx, cluster.workspace, _usable(tx, cluster))}
    missing = [name for name in cluster.spec.secrets if name not in found]
    if not missing:
        return
    if cluster.spec.shared:
        raise errors.NotFound(
            f"A shared cluster uses secrets of everyone only, and {', '.join(missing)} is none.",
            cure=f"Do not share it, or let an admin set it for all: amasia secret set {missing[0]} --for everyone",
        )
    raise errors.NotFound(
        f"There is no secret {', '.join(missing)} that {cluster.owner} may use in {cluster.workspace!r}.",
        cure=f"Set it: amasia secret set {missing[0]}. What there is: amasia secret list",
    )


def lend(db: Database, who: Principal, machine_id: str) -> Lent:
    """What the processes of a machine get, for the machine itself: of each name the nearest to its cluster's owner.

    Raises
    ------
    TooOften
        No agent asks like that.
    """
    with db.write() as tx:
        held = machines.locked(tx, machine_id)
        cluster = clusters.find(tx, held[0].cluster_id) if held else None
        if held is None or cluster is None or held[0].target is MachineTarget.stopped:
            raise errors.NotFound(f"Machine {machine_id} works for no cluster.")
        if not may(users.role(tx, cluster.workspace, cluster.owner), Permission.run):
            raise errors.PermissionDenied(f"{cluster.owner} may no longer run anything in {cluster.workspace!r}.")
        near = _usable(tx, cluster)
        found = sorted(rows.lend(tx, cluster.workspace, near), key=lambda one: -near.index(one[0].grantee))
        lent = {one.name: (one, sealed) for one, sealed in found if one.name in cluster.spec.secrets}
        for secret, _ in lent.values():
            rows.used(tx, secret, now())
        if _is_news(tx, machine_id, cluster, [one for one, _ in lent.values()]):
            whose = {name: one.grantee for name, (one, _) in lent.items()}
            events.append(tx, actor=who.actor, verb="secret.lend", target=cluster.id, workspace=cluster.workspace,
                          source=who.source, secrets=whose)  # fmt: skip
    missing = tuple(name for name in cluster.spec.secrets if name not in lent)
    return Lent(values={name: db.unseal(sealed) for name, (_, sealed) in lent.items()}, missing=missing)


def _is_news(tx: Connection, machine_id: str, cluster: Cluster, lent: Iterable[Secret]) -> bool:
    """Whether it was not lent just this a moment ago; its answer may have been lost."""
    before = now() - WHILE
    if failures.add(tx, f"lend:{machine_id}", before) > LENDINGS:
        raise errors.TooOften(f"Machine {machine_id} asked for its secrets too often.", retry_after=60)
    said = "\n".join(one.model_dump_json(exclude={"last_used_at"}) for one in lent)
    what = hashlib.sha256(f"{cluster.id}\n{said}".encode()).hexdigest()
    return failures.add(tx, f"lend:{machine_id} {what}", before) == 1


def _usable(tx: Connection, cluster: Cluster) -> list[str]:
    """Whose secrets a cluster may use, the nearest first: on a shared one whoever connects could read them."""
    return [EVERYONE] if cluster.spec.shared else _grantees(tx, cluster.workspace, cluster.owner)


def _grantees(tx: Connection, workspace: str, user: str) -> list[str]:
    """Whom a member is among, the nearest first."""
    of = [f"group:{group.name}" for group in groups.every_of(tx, workspace) if user in group.members]
    return [_own(tx, user), *of, EVERYONE]


def _own(tx: Connection, user: str) -> str:
    found = users.find_user(tx, user)
    return f"account:{user}" if found and found.issuer == SERVICE else f"user:{user}"


def _require(db: Database, who: Principal, role: Role, workspace: str, grantee: str, verb: str) -> None:
    if grantee == own(db, who) or may(role, Permission.manage):
        return
    deny(db, who, workspace, verb, grantee)
    raise errors.PermissionDenied(
        f"Secrets of {grantee} are set by whoever manages {workspace!r}; {who.user} may set their own.",
        cure="Leave out for whom it is, or ask an admin of the workspace.",
    )
