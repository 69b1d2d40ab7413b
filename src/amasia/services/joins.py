"""Agents say that they are here, one by one or many at once, and learn what their machines are for."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from amasia import errors
from amasia.database import clusters, environments, machines, users
from amasia.database.engine import Database
from amasia.database.machines import Waiting
from amasia.models.base import now
from amasia.models.machines import Assignment, Join, Machine, MachineRole, MachineStatus, MachineTarget
from amasia.models.users import Scope
from amasia.services.access import TokenWish, anonymous, denials, digest, issue_tokens
from amasia.settings import ServerSettings

LONGEST = timedelta(days=30)
"""Of a machine's tokens; they are deleted when it ends, which is nearly always sooner."""


def join(db: Database, settings: ServerSettings, request: Join) -> Assignment:
    """What one machine is for. Repeatable until its first heartbeat, since an answer may be lost."""
    with denials(db, anonymous(""), None, "machine.join", request.machine_id), db.write() as tx:
        held = machines.waiting(tx, [request.machine_id]).get(request.machine_id)
        if held is None or held.join_hash != digest(request.join_token):
            raise errors.NotSignedIn(f"No machine {request.machine_id!r} waits for this join token.")
        if not _may_join(held.machine):
            raise errors.PermissionDenied(
                f"Machine {held.machine.id} may not join: it was ended, or has joined before."
            )
        return _take_in(tx, db, settings, [(held, request)])[0]


def join_all(db: Database, settings: ServerSettings, requests: Sequence[Join]) -> list[Assignment | None]:
    """The same for many in one transaction; None for each one that is to be answered by itself."""
    last = {request.machine_id: request for request in requests}
    with db.write() as tx:
        found = machines.waiting(tx, last, skip_locked=True)
        welcome = [(held, last[held.machine.id]) for held in found.values() if _is_welcome(held, last[held.machine.id])]
        made = {one.machine.id: one for one in _take_in(tx, db, settings, welcome)}
    return [made.get(one.machine_id) if last[one.machine_id] is one else None for one in requests]


def assignment(db: Database, settings: ServerSettings, machine_id: str) -> Assignment:
    """What a machine that was warm is for. Repeatable: what it was told before stays good until its end."""
    with db.write() as tx:
        held = machines.locked(tx, machine_id)
        if held is None or held[0].target is MachineTarget.stopped:
            raise errors.NotFound(f"Machine {machine_id} is no longer known.")
        if held[0].role is MachineRole.warm:
            raise errors.Unavailable(f"No cluster has taken machine {machine_id} yet.")
        return _assign(tx, db, settings, [held[0]])[0]


def _is_welcome(held: Waiting, request: Join) -> bool:
    return held.join_hash == digest(request.join_token) and _may_join(held.machine)


def _may_join(machine: Machine) -> bool:
    """One that has ended does not begin again: its life is paid for."""
    wanted = machine.target is MachineTarget.running and machine.status is not MachineStatus.stopped
    return wanted and machine.last_heartbeat_at is None


def _take_in(
    tx: Connection, db: Database, settings: ServerSettings, welcome: Sequence[tuple[Waiting, Join]]
) -> list[Assignment]:
    """Write down that they are here, and give each its tokens; what machines of a cluster share is read once."""
    joined = [_joined(held, request) for held, request in welcome]
    machines.joined(tx, joined)
    users.delete_tokens_of_machines(tx, [machine.id for machine in joined])
    return _assign(tx, db, settings, joined)


def _assign(tx: Connection, db: Database, settings: ServerSettings, found: Sequence[Machine]) -> list[Assignment]:
    """Tokens for each: its own, and in a cluster one that tasks open data with. What a cluster shares is read once."""
    own = issue_tokens(tx, [_token(machine, machine.id, Scope.machine) for machine in found], LONGEST)
    busy = [machine for machine in found if machine.role is not MachineRole.warm]
    lent = issue_tokens(tx, [_token(machine, f"{machine.id} data", Scope.data) for machine in busy], LONGEST)
    data = {machine.id: token.secret for machine, token in zip(busy, lent, strict=True)}
    work = {(one.workspace, one.cluster_id): one for one in found}
    shared = {key: _shared(tx, db, settings, machine) for key, machine in work.items()}
    return [
        _assignment(machine, token.secret, data.get(machine.id, ""), *shared[machine.workspace, machine.cluster_id])
        for machine, token in zip(found, own, strict=True)
    ]


def _joined(held: Waiting, request: Join) -> Machine:
    """Since when it runs is told; its lease is no longer than what was reserved from then on."""
    at, machine = now(), held.machine
    started_at = min(machine.started_at or request.started_at, at)
    paid = started_at + timedelta(milliseconds=held.account.reserved * 3_600_000 // max(1, machine.price))
    assert machine.lease_until is not None
    stages = {"accepted": machine.stages.accepted or at, "booted": request.booted_at, "joined": at}
    return machine.model_copy(
        update={
            "status": MachineStatus.preparing,
            "started_at": started_at,
            "lease_until": min(machine.lease_until, paid) if machine.price else machine.lease_until,
            "stages": machine.stages.model_copy(update=stages),
        }
    )


def _token(machine: Machine, label: str, scope: Scope) -> TokenWish:
    bound = {"workspace": machine.workspace, "cluster_id": machine.cluster_id or None, "machine_id": machine.id}
    return TokenWish(machine.owner, label, scope, bound)


def _shared(tx: Connection, db: Database, settings: ServerSettings, machine: Machine) -> tuple[dict[str, Any], str]:
    """What all machines of a cluster are told, and the address of its scheduler."""
    cluster = clusters.find(tx, machine.cluster_id)
    wanted = cluster.environment_hash if cluster else environments.newest(tx, machine.workspace)
    told: dict[str, Any] = {
        "environment_hash": wanted,
        "environment": environments.find(tx, machine.workspace, wanted),
        "heartbeat_seconds": settings.heartbeat_seconds,
    }
    if cluster is None:  # warm: it builds what the last cluster had, which the next one will most likely need too
        return told, ""
    security, sealed = clusters.security(tx, cluster.id)
    told |= {
        "spec": cluster.spec.model_dump(mode="json"),
        "tls_ca": security.tls_ca,
        "tls_certificate": security.tls_certificate,
        "tls_key": db.unseal(sealed),
        "gateway": settings.gateway,
    }
    return told, cluster.scheduler_address


def _assignment(machine: Machine, own: str, data: str, told: dict[str, Any], scheduler: str) -> Assignment:
    address = scheduler if machine.role is MachineRole.worker else ""
    return Assignment(machine=machine, token=own, owner_token=data, scheduler_address=address, **told)
