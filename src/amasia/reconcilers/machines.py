"""Machines: started, looked at and ended by the providers of their locations.

`reconcile` takes the next step of each machine that waits for one; `watch` looks whether those that should be there
are; `sweep` ends those that nobody wants. Each may stop at any line and be run again. A location whose provider does
not answer delays only its own machines.
"""

from collections import defaultdict
from datetime import timedelta
from functools import partial

import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.locations import Location
from amasia.models.machines import Found, Machine, MachineStatus, MachineTarget
from amasia.providers.base import Provider, SupportsConsole, SupportsStrays
from amasia.reconcilers.fleets import Fleet
from amasia.services import locations, machines
from amasia.settings import ServerSettings

log = structlog.get_logger()

CLAIM_SECONDS = 30
MAX_TRIES = 8
LATE = timedelta(seconds=10)
"""How long a machine may be missing from its provider's answers after it was accepted."""

SOME = 500
"""Machines that are looked at in one round."""

Opened = Provider | errors.AmasiaError


def reconcile(db: Database, settings: ServerSettings, fleet: Fleet) -> None:
    """Take the next step of every machine that waits for its provider."""
    waiting = machines.claim(db, settings, CLAIM_SECONDS)
    if not waiting:
        return
    providers = fleet.by_location()

    def take(machine: Machine) -> None:
        _take(db, settings, _provider(providers, machine), machine)

    left = fleet.hands.run(waiting, lambda machine: (machine.id, _place(machine)), take)
    machines.release(db, [machine.id for machine in left])


class Watch:
    """Compares machines that should be there with what their providers see: in a crowd, some of them each round."""

    def __init__(self, db: Database, settings: ServerSettings, fleet: Fleet) -> None:
        self._db, self._settings, self._fleet = db, settings, fleet
        self._after = ""

    def look(self) -> None:
        self._after = watch(self._db, self._settings, self._fleet, self._after)


def watch(db: Database, settings: ServerSettings, fleet: Fleet, after: str = "") -> str:
    """Compare the machines after an id with what their providers see; the id to go on after, empty for the first."""
    some, over = machines.to_watch(db, after, SOME)
    _watch_all(db, settings, fleet, [*some, *over])
    return some[-1].id if len(some) == SOME else ""


def _watch_all(db: Database, settings: ServerSettings, fleet: Fleet, found: list[Machine]) -> None:
    groups: dict[tuple[str, str], list[Machine]] = defaultdict(list)
    for machine in found:
        groups[machine.workspace, machine.location].append(machine)
    if not groups:
        return
    providers = fleet.by_location()
    items = [(providers.get(place), group) for place, group in groups.items()]
    fleet.watching.run(items, lambda item: _place(item[1][0]), partial(_watch, db, settings))


def sweep(db: Database, fleet: Fleet) -> None:
    """End what carries our tag and is in no live record."""
    once = {id(provider): (location, provider) for location, provider in fleet.every() if not _is_closed(provider)}
    fleet.sweeping.run(once.values(), lambda item: f"{item[0].workspace}/{item[0].name}", partial(_sweep, db))


def _take(db: Database, settings: ServerSettings, provider: Opened, machine: Machine) -> None:
    try:
        if isinstance(provider, errors.AmasiaError):
            raise provider
        _step(db, settings, provider, machine)
    except errors.AmasiaError as error:
        final = isinstance(error, errors.InvalidRequest)
        machines.refused(db, settings, machine, error, final=final, limit=MAX_TRIES)
    except Exception as error:
        name = getattr(provider, "name", "")
        log.exception("provider failed", machine=machine.id, provider=name)
        problem = errors.Unavailable(f"Provider {name!r} failed: {type(error).__name__}.")
        machines.refused(db, settings, machine, problem, final=False, limit=MAX_TRIES)


def _watch(db: Database, settings: ServerSettings, item: tuple[Opened | None, list[Machine]]) -> bool:
    """Whether the provider answered."""
    provider, group = item
    if provider is None or isinstance(provider, errors.AmasiaError):
        return False
    try:
        found = provider.find(group)
    except errors.AmasiaError as error:
        log.warning("provider does not answer", place=_place(group[0]), error=str(error))
        return False
    for machine in group:
        _compare(db, settings, provider, machine, found.get(machine.id))
    return True


def _sweep(db: Database, item: tuple[Location, Provider]) -> bool:
    location, provider = item
    try:
        found = provider.find(None)
        strays = provider.strays() if isinstance(provider, SupportsStrays) else ()
    except errors.AmasiaError as error:
        log.warning("provider does not answer", place=f"{location.workspace}/{location.name}", error=str(error))
        return False
    alive = [machine_id for machine_id, seen in found.items() if seen.alive]
    for machine_id in machines.unknown(db, alive):
        machines.found_unknown(db, location, machine_id)
        provider.stop(machine_id)
    locations.strayed(db, location, strays)
    return True


def _compare(db: Database, settings: ServerSettings, provider: Provider, machine: Machine, seen: Found | None) -> None:
    if seen is not None and seen.alive and seen.waiting:
        machines.wait(db, settings, machine, seen)
        return
    if seen is not None and seen.alive:
        machines.started(db, machine, seen)
        _expect_join(db, settings, provider, machine)
        _fence(db, machine)
        return
    # A cloud may not list what it has just made.
    accepted = machine.stages.accepted
    young = machine.status is MachineStatus.booting and accepted is not None and now() - accepted < LATE
    if seen is None and young:
        return
    machines.gone(db, machine, seen)


def _step(db: Database, settings: ServerSettings, provider: Provider, machine: Machine) -> None:
    match machine.status, machine.target:
        case MachineStatus.requested, MachineTarget.stopped:
            machines.gone(db, machine, None)
        case ((MachineStatus.requested | MachineStatus.starting), MachineTarget.running):
            boot = machines.begin(db, settings, machine)
            if boot is not None:
                machines.accepted(db, machine, provider.start(machine, boot))
        case MachineStatus.stopping, _:
            _end(db, provider, machine)
        case _, MachineTarget.stopped:
            provider.stop(machine.id)
            machines.stopping(db, machine)


def _end(db: Database, provider: Provider, machine: Machine) -> None:
    """Repeat the stop until the provider no longer has it."""
    found = provider.find([machine]).get(machine.id)
    if found is not None and found.alive:
        provider.stop(machine.id)
        machines.stopping(db, machine)
        return
    machines.gone(db, machine, found)


def _fence(db: Database, machine: Machine) -> None:
    """An agent that is frozen cannot end its machine: whatever outlives its lease is ended from here."""
    if machine.target is MachineTarget.running and machine.lease_until is not None and now() > machine.lease_until:
        machines.expire(db, machine)


def _expect_join(db: Database, settings: ServerSettings, provider: Provider, machine: Machine) -> None:
    accepted = machine.stages.accepted
    since = max(accepted, machine.started_at) if accepted and machine.started_at else accepted
    late = since is not None and now() - since > timedelta(seconds=settings.join_seconds)
    if machine.status is MachineStatus.booting and machine.stages.joined is None and late:
        console = provider.console(machine) if isinstance(provider, SupportsConsole) else ""
        machines.expect_join(db, machine, settings.join_seconds, console)


def _provider(providers: dict[tuple[str, str], Opened], machine: Machine) -> Opened:
    gone = errors.InvalidRequest(f"There is no location {machine.location!r} any more.")
    return providers.get((machine.workspace, machine.location), gone)


def _is_closed(provider: Opened) -> bool:
    return isinstance(provider, errors.AmasiaError)


def _place(machine: Machine) -> str:
    return f"{machine.workspace}/{machine.location}"
