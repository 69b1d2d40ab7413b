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
from amasia.services.access import TokenWish, digest, issue_tokens
from amasia.settings import ServerSettings

LONGEST = timedelta(days=30)
"""Of a machine's tokens; they are deleted when it ends, which is nearly always sooner."""


def join(db: Database, settings: ServerSettings, request: Join) -> Assignment:
    """What one machine is for. Repeatable until its first heartbeat, since an answer may be lost."""
    with db.write() as tx:
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


def _is_welcome(held: Waiting, request: Join) -> bool:
    return held.join_hash == digest(request.join_token) and _may_join(held.machine)


def _may_join(machine: Machine) -> bool:
    return machine.target is MachineTarget.running and machine.last_heartbeat_at is None


def _take_in(
    tx: Connection, db: Database, settings: ServerSettings, welcome: Sequence[tuple[Waiting, Join]]
) -> list[Assignment]:
    """Write down that they are here, and give each its tokens; what machines of a cluster share is read once."""
    joined = [_joined(held, request) for held, request in welcome]
    machines.joined(tx, joined)
    users.delete_tokens_of_machines(tx, [machine.id for machine in joined])
    tokens = iter(issue_tokens(tx, [wish for machine in joined for wish in _tokens(machine)], LONGEST))
    work = {one.cluster_id: one for one in joined}
    shared = {cluster_id: _shared(tx, db, settings, machine) for cluster_id, machine in work.items()}
    return [_assignment(machine, next(tokens).secret, next(tokens).secret, *shared[machine.cluster_id])
            for machine in joined]  # fmt: skip


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


def _tokens(machine: Machine) -> tuple[TokenWish, TokenWish]:
    """Its own, and the one that its tasks open data with."""
    bound = {"workspace": machine.workspace, "cluster_id": machine.cluster_id, "machine_id": machine.id}
    return (
        TokenWish(machine.owner, machine.id, Scope.machine, bound),
        TokenWish(machine.owner, f"{machine.id} data", Scope.data, bound),
    )


def _shared(tx: Connection, db: Database, settings: ServerSettings, machine: Machine) -> tuple[dict[str, Any], str]:
    """What all machines of a cluster are told, and the address of its scheduler."""
    cluster = clusters.find(tx, machine.cluster_id)
    assert cluster is not None
    environment = environments.find(tx, cluster.workspace, cluster.environment_hash)
    assert environment is not None
    security, sealed = clusters.security(tx, cluster.id)
    told = {
        "environment_hash": cluster.environment_hash,
        "environment": environment,
        "spec": cluster.spec.model_dump(mode="json"),
        "tls_ca": security.tls_ca,
        "tls_certificate": security.tls_certificate,
        "tls_key": db.unseal(sealed),
        "heartbeat_seconds": settings.heartbeat_seconds,
        "gateway": settings.gateway,
    }
    return told, cluster.scheduler_address


def _assignment(machine: Machine, own: str, data: str, told: dict[str, Any], scheduler: str) -> Assignment:
    address = scheduler if machine.role is MachineRole.worker else ""
    return Assignment(machine=machine, token=own, owner_token=data, scheduler_address=address, **told)
