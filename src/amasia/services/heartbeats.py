"""What a machine says of itself, and what it is answered: taken down, its lease renewed, its wishes told.

Here one is heard, with all that it may say. Those that say nothing new are heard many at once, in `services.crowds`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from amasia import errors
from amasia.database import clusters, events, locations, machines, users
from amasia.database.engine import Database
from amasia.database.machines import Account
from amasia.models.base import now
from amasia.models.machines import FINAL, Heartbeat, Machine, MachineRole, MachineStatus, MachineTarget, Stages, Wishes
from amasia.models.permissions import Permission, may
from amasia.services import leases, limits, schedulers
from amasia.services.machines import living
from amasia.settings import ServerSettings


def hear(db: Database, settings: ServerSettings, machine_id: str, beat: Heartbeat) -> Wishes:
    """Take down what is, renew the lease, answer what should be."""
    with db.write() as tx:
        held = living(tx, machine_id)
        if held is None:
            raise errors.NotFound(f"Machine {machine_id} is no longer known.")
        machine = _heard(tx, settings, held[0], beat)
        machine = _renewed(tx, settings, machine, held[1], beat)  # money before clusters: see `ledgers.Ledger`
        if machine.role is MachineRole.scheduler and beat.scheduler is not None:
            schedulers.take(tx, machine, beat)
        return _wishes(tx, machine, beat)


def _heard(tx: Connection, settings: ServerSettings, machine: Machine, beat: Heartbeat) -> Machine:
    at = now()
    unaware = _is_unaware(machine, beat)
    told = {} if unaware else {key: time for key, time in beat.stages.items() if key in Stages.model_fields}
    stages = machine.stages.model_copy(update=told)
    changes: dict[str, Any] = {
        "last_heartbeat_at": at,
        "metrics": beat.metrics,
        "stages": stages,
        "address": beat.process.address or machine.address,
    }
    if beat.process.reason and not machine.reason and beat.process.status in FINAL:
        changes["reason"] = beat.process.reason  # what a process recovers from is a notice, and no reason of its end
    machines.update(tx, machine.id, **changes)
    status = machine.status
    of_use = beat.process.status == "running" or (machine.role is MachineRole.warm and stages.environment_ready)
    if of_use and status in (MachineStatus.booting, MachineStatus.preparing):
        machines.advance(tx, machine.id, status, MachineStatus.running)
        changes["status"] = MachineStatus.running
    was_warm = machine.started_at is not None and machine.started_at < stages.requested
    if stages.process_up and not machine.stages.process_up and not was_warm:
        locations.measure(tx, machine.workspace, machine.location, (at - stages.requested).total_seconds())
    if stages.leaves and not machine.stages.leaves:
        _tell_leave(tx, machine, stages.leaves)
    for death in beat.deaths:
        _tell_death(tx, machine, death.reason)
    if beat.log:
        _log(tx, settings, machine, at, beat.log)
    return machine.model_copy(update=changes)


def _log(tx: Connection, settings: ServerSettings, machine: Machine, at: datetime, text: str) -> None:
    """Keep as much of a machine's log as its workspace may have of one."""
    most, had = limits.of(tx, settings, machine.workspace).log_bytes, machines.logged(tx, machine.id)
    if most and had >= most:
        return
    size = len(text.encode(errors="replace"))
    if most and had + size > most:
        text = text.encode(errors="replace")[: most - had].decode(errors="ignore")
        text += f"\n[{most} bytes of this machine's log are kept, and no more; an operator can raise that]\n"
    clusters.add_log(tx, machine.cluster_id, machine.id, at, text)
    machines.update(tx, machine.id, log_bytes=had + size)


def _is_unaware(machine: Machine, beat: Heartbeat) -> bool:
    """Whether a cluster took it and its agent does not know yet: what it says is of its time before."""
    return beat.process.status == "warm" and machine.role is not MachineRole.warm


def _tell_leave(tx: Connection, machine: Machine, at: datetime) -> None:
    worker = machine.role is MachineRole.worker
    then = "its work moves to others, and another machine is started" if worker else "commit what must not be lost"
    text = f"{machine.role.value} {machine.index} is taken back by its provider at {at:%H:%M:%S} UTC: {then}."
    clusters.add_notice(tx, machine.cluster_id, text)
    events.append(tx, actor="amasia", verb="machine.leave", target=machine.id, workspace=machine.workspace)


def _tell_death(tx: Connection, machine: Machine, reason: str) -> None:
    """The restarted process tells the scheduler itself, so the notice is for people who look later."""
    clusters.add_notice(tx, machine.cluster_id, f"worker {machine.index}: {reason}", told=True)


def _renewed(tx: Connection, settings: ServerSettings, machine: Machine, account: Account, beat: Heartbeat) -> Machine:
    if machine.target is MachineTarget.stopped or machine.lease_until is None:
        return machine
    at = min(now(), beat.at)
    if not leases.is_due(machine.lease_until, at, settings.lease_seconds):
        return machine
    role = users.role(tx, machine.workspace, machine.owner)
    if not may(role, Permission.run):
        reason = f"{machine.owner} may no longer run anything in {machine.workspace!r}"
        clusters.wish_stop(tx, machine.cluster_id, reason)
        if machine.role is MachineRole.warm:
            machines.wish_stop(tx, [machine.id], reason)
        return machine
    until = leases.renew(tx, machine, account, at, settings.lease_seconds)
    return machine if until is None else machine.model_copy(update={"lease_until": until})


def _wishes(tx: Connection, machine: Machine, beat: Heartbeat) -> Wishes:
    cluster = clusters.find(tx, machine.cluster_id)
    current = machines.find(tx, machine.id)
    assert current is not None
    assert current.lease_until is not None
    if cluster is None:
        return Wishes(target=current.target, lease_until=current.lease_until)
    ending = cluster.target.value == "stopped" or current.target is MachineTarget.stopped
    target = MachineTarget.stopped if ending else MachineTarget.running
    if _is_unaware(machine, beat):
        return Wishes(target=target, lease_until=current.lease_until, taken=True)
    if machine.role is MachineRole.worker:
        return Wishes(target=target, lease_until=current.lease_until, scheduler_address=cluster.scheduler_address)
    return Wishes(
        target=target,
        lease_until=current.lease_until,
        scale=schedulers.wish(tx, cluster),
        notices=tuple(clusters.take_notices(tx, cluster.id)),
    )
