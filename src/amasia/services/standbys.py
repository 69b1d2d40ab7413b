"""Machines that are kept warm: wished, looked after, and taken by clusters before others are asked for."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from amasia import errors
from amasia.database import events, groups, locations, machines, users
from amasia.database import standbys as rows
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.clusters import Cluster
from amasia.models.locations import Location, Offer
from amasia.models.machines import Machine, MachineRole, MachineStatus, MachineTarget, Stages
from amasia.models.placements import Choice
from amasia.models.standbys import Standby, StandbyRequest
from amasia.models.users import Principal
from amasia.services import leases, limits, placements
from amasia.services import machines as machine_verbs
from amasia.services.ledgers import Spender
from amasia.services.locations import known
from amasia.settings import ServerSettings

DEAR = 2
"""A warm machine is not taken where one that would do costs less than this part of it."""
MAX_DEATHS = 5
"""Machines per one that is kept that may end unasked before no more are started."""
NO_LONGER = "it is no longer kept warm"


type Wanted = tuple[MachineRole, int, str, Choice]
"""A machine of a cluster: its role, index, worker group and type."""


def put(
    db: Database, who: Principal, workspace: str, location: str, machine_type: str, request: StandbyRequest
) -> Standby:
    """Wish so many of a type to be kept warm; none ends that."""
    until = now() + timedelta(hours=request.hours) if request.hours else None
    standby = Standby(workspace=workspace, location=location, machine_type=machine_type, machines=request.machines,
                      until=until, created_by=who.user, created_at=now())  # fmt: skip
    with db.write() as tx:
        if request.machines:
            _check(tx, standby)
            rows.remove(tx, standby)
            rows.create(tx, standby)
        else:
            rows.update(tx, standby, machines=0, until=None, reason="")
        events.append(tx, actor=who.actor, verb="standby.set", target=location, workspace=workspace, source=who.source,
                      machine_type=machine_type, machines=request.machines, hours=request.hours)  # fmt: skip
    return standby


def find(db: Database, workspace: str, location: str | None = None) -> list[Standby]:
    """What is kept warm, and how much of it is there; with none to be kept, until the last one has ended."""
    with db.read() as tx:
        found = [one for one in rows.of_workspace(tx, workspace) if location in (None, one.location)]
        living = rows.living(tx) if found else []
    return [_seen(one, [machine for machine in living if _is_of(machine, one)]) for one in found]


def follow(db: Database, settings: ServerSettings) -> None:
    """One look at all of them: wish machines or their end, until there are as many as are to be. Repeatable."""
    with db.read() as tx:
        standbys, living = rows.all_of_them(tx), rows.living(tx)
    for one in standbys:
        if _is_over(one) or not one.machines or len(_kept(living, one)) != one.machines:
            _follow(db, settings, one)
    strays = [machine for machine in living if not any(_is_of(machine, one) for one in standbys)]
    if strays:
        with db.write() as tx:
            rows.wish_stop(tx, strays, NO_LONGER)


def take(tx: Connection, cluster: Cluster, location: str, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Give warm machines that will do to a cluster; those that it still lacks.

    Their leases are paid for already, and go on.
    """
    return [
        one
        for one, machine in _matched(tx, cluster, location, wanted)
        if machine is None or not _give(tx, machine, cluster, *one[:3])
    ]


def lacking(tx: Connection, cluster: Cluster, location: str, wanted: Sequence[Wanted]) -> int:
    """How many a cluster would still lack, if it took those that will do."""
    return sum(machine is None for _, machine in _matched(tx, cluster, location, wanted))


def _matched(
    tx: Connection, cluster: Cluster, location: str, wanted: Sequence[Wanted]
) -> list[tuple[Wanted, Machine | None]]:
    """Each with a warm machine that will do, as long as there are some."""
    ready = rows.ready(tx, cluster.workspace, location)
    offers = _offers(tx, cluster.workspace, location) if ready else {}
    found: list[tuple[Wanted, Machine | None]] = []
    for role, index, group, choice in wanted:
        wants = cluster.spec.wants(role, group)
        machine = next(
            (one for one in ready if one.machine_type in offers and one.price <= DEAR * choice.price
             and placements.suits(offers[one.machine_type], wants)), None,
        )  # fmt: skip
        found.append(((role, index, group, choice), machine))
        if machine:
            ready.remove(machine)
    return found


def _give(tx: Connection, machine: Machine, cluster: Cluster, role: MachineRole, index: int, group: str) -> bool:
    """Hand a warm machine to a cluster, if its budgets agree; its agent hears of it by its next heartbeat. Its lease
    goes on."""
    at = now()
    changes: dict[str, Any] = {
        "cluster_id": cluster.id, "owner": cluster.owner, "tags": cluster.spec.tags,
        "groups": groups.names(tx, cluster.workspace, cluster.owner), "role": role, "index": index, "group": group,
        "status": MachineStatus.preparing, "stages": Stages(requested=at, accepted=at, joined=at),
    }  # fmt: skip
    if not leases.hand_over(tx, machine, machine.model_copy(update=changes)):
        return False
    machines.update(tx, machine.id, **changes)
    return True


def _follow(db: Database, settings: ServerSettings, standby: Standby) -> None:
    with db.write() as tx:
        found = rows.find(tx, standby.workspace, standby.location, standby.machine_type)
        location = locations.find_location(tx, standby.workspace, standby.location)
        if found is None:
            return
        living = rows.living(tx)
        if location is None or not (found.machines or any(_is_of(one, found) for one in living)):
            rows.remove(tx, found)
            return
        if _is_over(found):
            rows.update(tx, found, machines=0, until=None, reason="")  # the next look ends its machines
            events.append(tx, actor="amasia", verb="standby.end", target=standby.location, workspace=standby.workspace,
                          machine_type=standby.machine_type)  # fmt: skip
            return
        own = _kept(living, found)
        if len(own) > found.machines:
            surplus = sorted(own, key=lambda one: one.status is MachineStatus.running)[: len(own) - found.machines]
            rows.wish_stop(tx, surplus, NO_LONGER)
        elif len(own) < found.machines:
            reason = _grow(tx, settings, found, location, found.machines - len(own))
            if reason != found.reason:
                rows.update(tx, found, reason=reason)


def _grow(tx: Connection, settings: ServerSettings, standby: Standby, location: Location, more: int) -> str:
    """Wish more of them; why not, in words."""
    deaths, last = rows.ended(tx, standby, NO_LONGER)
    if deaths > MAX_DEATHS * standby.machines:
        return f"its machines ended again and again, the last one since {last}"
    try:
        choice = _choice(location, standby.machine_type)
        have = machines.count(tx, standby.workspace, location.name)
        if have + more > location.max_machines:
            raise errors.TooLarge(
                f"{location.name!r} has {have} machines, and at most {location.max_machines} are allowed there.",
                cure="Keep fewer, or stop something.",
            )
        limits.check_machines(tx, settings, standby.workspace, more)
        mine = groups.names(tx, standby.workspace, standby.created_by)
        spender = Spender(standby.created_by, standby.location, groups=mine)
        promises = leases.reserve(tx, standby.workspace, spender, [choice.price] * more, settings.lease_seconds)
    except errors.AmasiaError as error:
        return str(error)
    for promise in promises:
        machine_verbs.wish_warm(tx, standby, mine, choice, promise)
    return ""


def _check(tx: Connection, standby: Standby) -> None:
    location = known(tx, standby.workspace, standby.location)
    regions = users.get_workspace(tx, standby.workspace).regions
    if regions and location.region not in regions:
        raise errors.PermissionDenied(
            f"The workspace may not use the region {location.region!r}.", cure="An admin can allow it."
        )
    _choice(location, standby.machine_type)
    if standby.machines > location.max_machines:
        raise errors.TooLarge(
            f"{standby.machines} were asked for, and at most {location.max_machines} are allowed at {location.name!r}.",
            cure="Keep fewer.",
        )


def _choice(location: Location, machine_type: str) -> Choice:
    """The type as it is asked for: never one that may be taken back."""
    offer = next((one for one in location.offers if one.type == machine_type), None)
    if offer is None:
        raise errors.NotFound(
            f"Location {location.name!r} has no machine type {machine_type!r}.",
            cure=f"`amasia location show {location.name}` lists its types.",
        )
    if offer.price is None:
        raise errors.InvalidRequest(
            f"The price of {machine_type!r} at {location.name!r} is unknown, so no budget can hold it.",
            cure="Set its price list.",
        )
    return Choice(offer=offer, price=offer.price, spot="no")


def _offers(tx: Connection, workspace: str, location: str) -> dict[str, Offer]:
    found = locations.find_location(tx, workspace, location)
    return {offer.type: offer for offer in found.offers} if found else {}


def _seen(standby: Standby, own: list[Machine]) -> Standby:
    ready = sum(one.status is MachineStatus.running for one in _kept(own, standby))
    rate = sum(one.price for one in own if one.status is not MachineStatus.requested)
    return standby.model_copy(update={"ready": ready, "rate": rate})


def _kept(living: list[Machine], standby: Standby) -> list[Machine]:
    """Those of it that are to go on."""
    return [
        one for one in living if _is_of(one, standby) and one.target is MachineTarget.running and not one.stages.leaves
    ]


def _is_over(standby: Standby) -> bool:
    return standby.until is not None and standby.until <= now()


def _is_of(machine: Machine, standby: Standby) -> bool:
    return (machine.workspace, machine.location, machine.machine_type) == (
        standby.workspace, standby.location, standby.machine_type,
    )  # fmt: skip
