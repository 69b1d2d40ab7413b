"""What is spent for nothing, by what machines' heartbeats and the counts of storage tell already."""

import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import ceil

from sqlalchemy import Connection

from amasia.database import grants, locations, machines, storage, users
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.locations import Location
from amasia.models.machines import Machine, MachineRole
from amasia.models.permissions import Role
from amasia.models.sizes import GIB, MIB, volume
from amasia.models.users import Principal
from amasia.models.waste import Kind, Waste, WasteReport
from amasia.services.costs import whose

LONG = 600
"""Seconds that something must have been watched, or have been idle, to be judged."""
WARM = timedelta(hours=2)
LITTLE = 0.2
"""Of the time: less is little."""
FULL = 0.8
"""Of the time that a worker may be busy, when others are let go."""
ROOM = 1.3
"""Times the most memory that was seen used."""
ROUGH = 0.6
"""Of its memory: a machine that needs more than this is not called too large."""


def find(db: Database, who: Principal, role: Role, workspace: str, storage_price: int) -> WasteReport:
    """Of what somebody may see; ``storage_price`` is per GiB and month."""
    with db.read() as tx:
        found = users.get_workspace(tx, workspace)
        user = whose(who, role)
        running = machines.running(tx, workspace, user)
        places = {one.name: one for one in locations.list_locations(tx, workspace)}
        items = [*_clusters(running, places), *_warm(running), *_storage(tx, who, workspace, storage_price)]
    items.sort(key=lambda one: (-one.monthly, one.subject, one.kind))
    return WasteReport(
        workspace=workspace,
        currency=found.currency,
        hourly=sum(one.saving for one in items if one.per == "hour"),
        monthly=sum(one.saving for one in items if one.per == "month"),
        items=tuple(items),
    )


def _clusters(running: Sequence[Machine], places: dict[str, Location]) -> Iterator[Waste]:
    groups: dict[str, list[Machine]] = defaultdict(list)
    for machine in running:
        if machine.cluster_id:
            groups[machine.cluster_id].append(machine)
    for own in groups.values():
        if idle := _idle(own):
            yield idle
            continue
        kinds: dict[str, list[Machine]] = defaultdict(list)
        for worker in own:
            if worker.role is MachineRole.worker and worker.metrics.watched_seconds >= LONG:
                kinds[worker.group].append(worker)
        for workers in kinds.values():
            few = _workers(workers)
            if found := few or _memory(workers, places):
                yield found


def _idle(own: Sequence[Machine]) -> Waste | None:
    """Its scheduler says so; what it costs is saved."""
    scheduler = next((one for one in own if one.role is MachineRole.scheduler), None)
    if scheduler is None or scheduler.metrics.idle_seconds < LONG:
        return None
    minutes = int(scheduler.metrics.idle_seconds // 60)
    return Waste(
        kind=Kind.idle,
        subject=scheduler.cluster,
        text=f"nobody has had work for its {len(own)} machines for {minutes} min",
        saving=sum(one.price for one in own),
        command=f"amasia cluster stop {shlex.quote(scheduler.cluster)}",
        owner=scheduler.owner,
    )


def _workers(workers: Sequence[Machine]) -> Waste | None:
    """So few as would be busy for four fifths of the time with the same work."""
    had = sum(one.metrics.watched_seconds * one.cpus for one in workers)
    busy = sum(one.metrics.busy_seconds for one in workers) / had
    enough = max(1, ceil(len(workers) * busy / FULL))
    if busy >= LITTLE or enough >= len(workers):
        return None
    first = workers[0]
    group = f" --group {shlex.quote(first.group)}" if first.group else ""
    return Waste(
        kind=Kind.workers,
        subject=_name(first),
        text=f"its {len(workers)} workers were busy {busy:.0%} of the time: {enough} would do",
        saving=sum(sorted((one.price for one in workers), reverse=True)[: len(workers) - enough]),
        command=f"amasia cluster scale {shlex.quote(first.cluster)} {enough}{group}",
        owner=first.owner,
    )


def _memory(workers: Sequence[Machine], places: dict[str, Location]) -> Waste | None:
    """A cheaper type of the same location with as many cores, and room for the most that any of them ever used."""
    first, peak = workers[0], max(one.metrics.memory_peak for one in workers)
    place = places.get(first.location)
    if not peak or peak > ROUGH * first.memory or place is None:
        return None
    needed = ceil(peak * ROOM)
    fitting = [one for one in place.offers if one.price is not None and one.cpus >= first.cpus
               and needed <= one.memory < first.memory and not one.gpus]  # fmt: skip
    best = min(fitting, key=lambda one: one.price or 0, default=None)
    if best is None or best.price is None or best.price >= first.price:
        return None
    return Waste(
        kind=Kind.memory,
        subject=_name(first),
        text=f"no worker used more than {volume(peak)} of its {volume(first.memory)}: a {best.type} would do",
        saving=sum(max(0, one.price - best.price) for one in workers),
        command=f"amasia cluster start --workers {len(workers)} --memory '{ceil(needed / MIB)} MiB'",
        owner=first.owner,
    )


def _warm(running: Sequence[Machine]) -> Iterator[Waste]:
    """By location and type."""
    kinds: dict[tuple[str, str], list[Machine]] = defaultdict(list)
    for machine in running:
        if machine.role is MachineRole.warm and machine.started_at and now() - machine.started_at > WARM:
            kinds[machine.location, machine.machine_type].append(machine)
    for (location, kind), found in sorted(kinds.items()):
        yield Waste(
            kind=Kind.warm,
            subject=location,
            text=f"{len(found)} of type {kind} have been warm for more than 2 h, and nobody took them",
            saving=sum(one.price for one in found),
            command=f"amasia location warm {shlex.quote(location)} --type {shlex.quote(kind)} --machines 0",
        )


def _storage(tx: Connection, who: Principal, workspace: str, price: int) -> Iterator[Waste]:
    """What expiry and collection would free at most: a session that is open keeps some of it for a while."""
    for name, nbytes, reachable in storage.beyond_reach(tx, workspace, grants.visible(who)):
        saving = (nbytes - reachable) * price // GIB
        if saving > 0:
            yield Waste(
                kind=Kind.storage,
                subject=f"{workspace}/{name}",
                text=f"up to {volume(nbytes - reachable)} of its {volume(nbytes)} are in no branch or tag any more",
                saving=saving,
                per="month",
                command=f"amasia repo expire {workspace}/{name} --older-than 30d",
            )


def _name(machine: Machine) -> str:
    return f"{machine.cluster}/{machine.group}" if machine.group else machine.cluster
