"""The life of a machine as the control plane writes it: wished, begun, accepted or refused, looked after, gone."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from amasia import errors
from amasia.database import budgets, clusters, events, locations, machines, users
from amasia.database.engine import Database
from amasia.database.machines import Account
from amasia.models.base import new_id, now
from amasia.models.clusters import Cluster
from amasia.models.locations import Location
from amasia.models.machines import Boot, Found, Machine, MachineRole, MachineStatus, MachineTarget, Stages
from amasia.models.placements import Choice
from amasia.models.standbys import Standby
from amasia.services import leases, limits, placements
from amasia.services.access import digest
from amasia.services.leases import Promise
from amasia.services.ledgers import Spender, exceeded
from amasia.settings import ServerSettings


def wish(
    tx: Connection,
    cluster: Cluster,
    spender: Spender,
    role: MachineRole,
    index: int,
    group: str,
    choice: Choice,
    promise: Promise,
) -> Machine:
    """Write the wish for one machine, whose first lease is reserved already."""
    machine = Machine(
        id=new_id("ma"),
        workspace=cluster.workspace,
        location=spender.location,
        cluster_id=cluster.id,
        cluster=cluster.name,
        owner=spender.user,
        role=role,
        index=index,
        group=group,
        status=MachineStatus.requested,
        target=MachineTarget.running,
        tags=dict(spender.tags),
        groups=tuple(spender.groups),
        **_typed(choice),
        stages=Stages(requested=now()),
    )
    machines.create(tx, machine, promise.amount)
    budgets.hold(tx, {}, {machine.id: promise.held})
    return machine


def wish_warm(tx: Connection, standby: Standby, groups: tuple[str, ...], choice: Choice, promise: Promise) -> None:
    """Write the wish for one machine that is to be kept warm."""
    machine = Machine(
        id=new_id("ma"),
        workspace=standby.workspace,
        location=standby.location,
        cluster_id="",
        cluster=machines.WARM,
        owner=standby.created_by,
        role=MachineRole.warm,
        index=0,
        status=MachineStatus.requested,
        target=MachineTarget.running,
        groups=groups,
        **_typed(choice),
        stages=Stages(requested=now()),
    )
    machines.create(tx, machine, promise.amount)
    budgets.hold(tx, {}, {machine.id: promise.held})


def begin(db: Database, settings: ServerSettings, machine: Machine) -> Boot | None:
    """Remember that the provider is about to be asked; None if the wish changed in the meantime, or it has to wait.

    The lease counts from here. The join token is derived, so that a repeated start carries the same one, also when the
    keys were renewed in between.
    """
    tokens = db.derived("join", machine.id)
    until = now() + timedelta(seconds=settings.lease_seconds)
    with db.write() as tx:
        held = machines.waiting(tx, [machine.id]).get(machine.id)
        if held is None or held.machine.status is MachineStatus.stopped:
            return None
        token = next((one for one in tokens if digest(one) == held.join_hash), tokens[0])
        if not limits.may_start(tx, settings, machine.workspace, machine.id):
            machines.update(tx, machine.id, claimed_until=now() + timedelta(seconds=0.5))
            return None
        if not _moved(tx, settings, held.machine):
            return None
        done = machines.begin(tx, machine.id, lease_until=until, join_hash=digest(token))
        location = locations.find_location(tx, machine.workspace, machine.location)
    if not done:
        return None
    return Boot(
        machine_id=machine.id,
        control_plane=(location.control_plane if location else "") or settings.url,
        join_token=token,
        lease_until=until,
        cpus=machine.cpus,
        memory=machine.memory,
        workspace=machine.workspace,
        location=machine.location,
        ca=settings.ca.read_text() if settings.ca else "",
    )


def accepted(db: Database, machine: Machine, handle: dict[str, object]) -> None:
    """The provider has it. The agent may have joined before this is written: the status only ever goes on."""
    with db.write() as tx:
        held = living(tx, machine.id)
        if held is None:
            return  # what the provider has of it is of nobody now, and is swept
        current, _ = held
        location = locations.find_location(tx, machine.workspace, machine.location)
        stages = current.stages.model_copy(update={"accepted": current.stages.accepted or now()})
        made: dict[str, Any] = {key: handle[key] for key in ("machine_type", "zone", "spot") if key in handle}
        made["price"] = _price_made(current, location, handle)
        machines.update(tx, machine.id, handle=handle, stages=stages, claimed_until=None, tries=0, **made)
        machines.advance(tx, machine.id, MachineStatus.starting, MachineStatus.booting)


def refused(
    db: Database, settings: ServerSettings, machine: Machine, error: errors.AmasiaError, *, final: bool, limit: int
) -> None:
    """The provider said no. For good, or ``limit`` times: the machine ends here; else later again, each time longer.

    Where it only had no room for this type, the next best one is asked for at once.
    """
    with db.write() as tx:
        if living(tx, machine.id) is None:
            return
        if isinstance(error, errors.NoCapacity) and _retype(tx, settings, machine):
            return
        tries = machines.tries(tx, machine.id) + 1
        wait = timedelta(seconds=min(30.0, 0.5 * 2**tries))
        machines.update(tx, machine.id, claimed_until=now() + wait, tries=tries)
        if (not final and tries < limit) or machine.target is MachineTarget.stopped:
            return
        machines.update(tx, machine.id, claimed_until=None, tries=0)
        machines.wish_stop(tx, [machine.id], str(error))
        clusters.add_notice(tx, machine.cluster_id, str(error))


def stopping(db: Database, machine: Machine) -> None:
    """The provider was asked to end it; looked at again in a moment."""
    with db.write() as tx:
        machines.advance(tx, machine.id, machine.status, MachineStatus.stopping)
        machines.update(tx, machine.id, claimed_until=now() + timedelta(seconds=0.3))


def expect_join(db: Database, machine: Machine, seconds: int, console: str) -> None:
    """End a machine whose agent is overdue, with what it last printed."""
    last = " | ".join(line.strip() for line in console.splitlines()[-5:] if line.strip())
    hint = f"it last said: {last}" if last else "nothing is known of what it printed"
    with db.write() as tx:
        if living(tx, machine.id) is None:
            return
        if console:
            clusters.add_log(tx, machine.cluster_id, machine.id, now(), console)
        machines.wish_stop(tx, [machine.id], f"its agent did not join within {seconds} s; {hint}")


def expire(db: Database, machine: Machine) -> None:
    """Wish the end of a machine that its provider still has, unless its lease was renewed in the meantime."""
    with db.write() as tx:
        held = living(tx, machine.id)
        if held is None or held[0].lease_until is None or held[0].lease_until > now():
            return
        reason = f"its lease ended at {held[0].lease_until:%H:%M:%S} UTC, and its agent did not end it"
        machines.wish_stop(tx, [machine.id], reason)
        clusters.add_notice(tx, machine.cluster_id, f"{machine.role.value} {machine.index} is ended: {reason}.")
        events.append(tx, actor="amasia", verb="machine.expire", target=machine.id, workspace=machine.workspace)


def gone(db: Database, machine: Machine, found: Found | None) -> None:
    """The provider no longer has it: settle, and tell its cluster why."""
    with db.write() as tx:
        held = living(tx, machine.id)
        if held is None:
            return
        current, account = held
        started = (found.started_at if found else None) or current.started_at
        end = _end(current, started, found)
        current = current.model_copy(update={"started_at": started})
        reason = current.reason or (found.reason if found else "") or "it is gone, and its provider knows no reason"
        leases.settle(tx, current, account, end)
        machines.update(
            tx,
            machine.id,
            status=MachineStatus.stopped,
            started_at=started,
            stopped_at=end or now(),
            reason=reason,
            claimed_until=None,
        )
        users.delete_tokens_of_machines(tx, [machine.id])
        unwished = current.target is MachineTarget.running
        if unwished:
            clusters.add_notice(tx, current.cluster_id, f"{current.role.value} {current.index} ended: {reason}.")
        events.append(tx, actor="amasia", verb="machine.end", target=machine.id, workspace=current.workspace,
                      reason=reason, wished=not unwished)  # fmt: skip


def found_unknown(db: Database, location: Location, machine_id: str) -> None:
    """A provider has a machine that no record wants: it is being stopped."""
    with db.write() as tx:
        events.append(tx, actor="amasia", verb="machine.sweep", target=machine_id, workspace=location.workspace,
                      location=location.name)  # fmt: skip


def started(db: Database, machine: Machine, found: Found) -> None:
    """The provider says since when it runs; counted from there also if it never joins."""
    if machine.started_at is not None or found.started_at is None:
        return
    with db.write() as tx:
        if living(tx, machine.id):
            machines.set_started(tx, machine.id, found.started_at)


def wait(db: Database, settings: ServerSettings, machine: Machine, found: Found) -> None:
    """It is in its provider's queue: what its first lease needs stays reserved, and the lease begins when it does."""
    half = timedelta(seconds=settings.lease_seconds / 2)
    if machine.lease_until is not None and machine.lease_until > now() + half:
        return
    with db.write() as tx:
        held = machines.locked(tx, machine.id)
        if held is None or held[0].status is not MachineStatus.booting or held[0].started_at is not None:
            return
        if not _moved(tx, settings, held[0], queued=True):
            return
        machines.update(tx, machine.id, lease_until=now() + timedelta(seconds=settings.lease_seconds))
        text = f"{machine.role.value} {machine.index} waits. {found.reason}."
        if found.reason and text not in clusters.last_notices(tx, machine.cluster_id):
            clusters.add_notice(tx, machine.cluster_id, text)


def living(tx: Connection, machine_id: str) -> tuple[Machine, Account] | None:
    """It and its account, locked; None once it has ended: that is settled, and nothing begins it again."""
    held = machines.locked(tx, machine_id)
    return None if held is None or held[0].status is MachineStatus.stopped else held


def _typed(choice: Choice) -> dict[str, Any]:
    return {
        "machine_type": choice.offer.type,
        "cpus": choice.offer.cpus,
        "memory": choice.offer.memory,
        "price": choice.price,
        "spot": choice.spot != "no",
        "fallback": choice.spot == "fallback",
        "alternatives": choice.alternatives,
    }


def _price_made(machine: Machine, location: Location | None, handle: dict[str, object]) -> int:
    """What the machine that was made costs, which may be less than what was reserved for it, and never more."""
    name = handle.get("machine_type", machine.machine_type)
    offer = next((one for one in (location.offers if location else ()) if one.type == name), None)
    if offer is None:
        return machine.price
    spot = handle.get("spot", machine.spot and not machine.fallback)
    price = offer.spot_price if spot else offer.price
    return machine.price if price is None else min(price, machine.price)


def _moved(tx: Connection, settings: ServerSettings, machine: Machine, *, queued: bool = False) -> bool:
    """Let its first lease begin now; where the budgets of today do not agree it ends, and its cluster is told."""
    if machine.target is MachineTarget.stopped:
        return False
    found = leases.shift(tx, machine, settings.lease_seconds, queued=queued)
    if isinstance(found, leases.Promise):
        return True
    refusal = exceeded(machine.workspace, found, f"{machine.role.value} {machine.index}")
    machines.wish_stop(tx, [machine.id], refusal.message)
    clusters.add_notice(tx, machine.cluster_id, str(refusal))
    return False


def _retype(tx: Connection, settings: ServerSettings, machine: Machine) -> bool:
    """Ask for the next best type from now on; False where there is none that the budget holds."""
    held = living(tx, machine.id)
    location = locations.find_location(tx, machine.workspace, machine.location)
    cluster = clusters.find(tx, machine.cluster_id)
    if held is None or location is None or cluster is None or held[0].target is MachineTarget.stopped:
        return False
    tried = (*machine.no_room, machine.machine_type, *(offer.type for offer in machine.alternatives))
    try:
        choice = placements.choose(location, cluster.spec.wants(machine.role, machine.group), "It", without=tried)
    except errors.TooLarge:
        machines.update(tx, machine.id, no_room=())  # from the first one again, later
        return False
    promise = leases.shift(tx, held[0], settings.lease_seconds, price=choice.price)
    if not isinstance(promise, leases.Promise):
        return False
    typed = _typed(choice)
    machines.update(tx, machine.id, **typed, no_room=tried, reserved=promise.amount, claimed_until=None)
    return True


def _end(machine: Machine, started: datetime | None, found: Found | None) -> datetime | None:
    """When a machine ended: as its provider knows, else its last heartbeat, else at most all that was paid for.

    Never before its last heartbeat: where tasks can write what their machine leaves behind, it may say what it likes.
    """
    told, heard = found.stopped_at if found else None, machine.last_heartbeat_at
    if told or heard:
        return max(one for one in (told, heard) if one)
    return started and min(now(), machine.lease_until or started)


def alive(db: Database) -> list[Machine]:
    with db.read() as tx:
        return machines.alive(tx)


def crowd(db: Database) -> int:
    """How many there are."""
    with db.read() as tx:
        return machines.crowd(tx)


def to_watch(db: Database, after: str, limit: int) -> tuple[list[Machine], list[Machine]]:
    """The next of those that a provider should have, by id; and of those before, all whose lease is over."""
    with db.read() as tx:
        return machines.to_watch(tx, after, limit, now())


def claim(db: Database, settings: ServerSettings, seconds: float, limit: int = 64) -> list[Machine]:
    """Some of those that wait for their provider, workspaces in turn."""
    at: datetime = now()
    with db.write() as tx:
        return machines.claim(tx, at, at + timedelta(seconds=seconds), limit, settings.limit_starting)


def release(db: Database, machine_ids: list[str]) -> None:
    """Give back what was claimed and not worked on; not at once, or it would be claimed again in vain all the time."""
    if not machine_ids:
        return
    with db.write() as tx:
        for machine_id in machine_ids:
            machines.update(tx, machine_id, claimed_until=now() + timedelta(seconds=0.5))


def unknown(db: Database, machine_ids: list[str]) -> list[str]:
    """Of these ids, those that no live record has."""
    if not machine_ids:
        return []
    with db.read() as tx:
        known = machines.known(tx, machine_ids)
    return [machine_id for machine_id in machine_ids if machine_id not in known]
