"""Machines: the only place that calls providers.

`reconcile` takes the next step of each machine that waits for one; `watch` looks whether those that should be there
are; `sweep` ends those that nobody wants. Each may stop at any line and be run again.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta

import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.base import now
from amasia.models.machines import Found, Machine, MachineStatus, MachineTarget
from amasia.providers.base import Provider
from amasia.services import locations, machines
from amasia.settings import ServerSettings

log = structlog.get_logger()

CLAIM_SECONDS = 30
MAX_TRIES = 8
LATE = timedelta(seconds=10)
"""How long a machine may be missing from its provider's answers after it was accepted."""

Providers = Mapping[str, Provider]


def reconcile(db: Database, settings: ServerSettings, providers: Providers) -> None:
    """Take the next step of every machine that waits for its provider."""
    for machine in machines.claim(db, CLAIM_SECONDS):
        provider = _provider(db, providers, machine)
        try:
            _step(db, settings, provider, machine)
        except errors.AmasiaError as error:
            final = isinstance(error, errors.InvalidRequest)
            machines.refused(db, machine, error, final=final, limit=MAX_TRIES)
        except Exception as error:
            log.exception("provider failed", machine=machine.id, provider=provider.name)
            problem = errors.Unavailable(f"Provider {provider.name!r} failed: {type(error).__name__}.")
            machines.refused(db, machine, problem, final=False, limit=MAX_TRIES)


def watch(db: Database, settings: ServerSettings, providers: Providers) -> None:
    """Compare every machine that should be there with what its provider sees."""
    alive = [machine for machine in machines.alive(db) if machine.status is not MachineStatus.starting]
    groups: dict[str, list[Machine]] = defaultdict(list)
    for machine in alive:
        groups[_provider(db, providers, machine).name].append(machine)
    for name, group in groups.items():
        try:
            found = providers[name].find(group)
        except errors.AmasiaError as error:
            log.warning("provider does not answer", provider=name, error=str(error))
            continue
        for machine in group:
            _compare(db, settings, machine, found.get(machine.id))


def sweep(db: Database, providers: Providers) -> None:
    """End what carries our tag and is in no live record."""
    for name, provider in providers.items():
        try:
            found = provider.find(None)
        except errors.AmasiaError as error:
            log.warning("provider does not answer", provider=name, error=str(error))
            continue
        alive = [machine_id for machine_id, seen in found.items() if seen.alive]
        for machine_id in machines.unknown(db, alive):
            machines.found_unknown(db, name, machine_id)
            provider.stop(machine_id)


def refresh_offers(db: Database, providers: Providers) -> None:
    """Bring price lists up to date."""
    for name, provider in providers.items():
        locations.refresh(db, name, provider.offers())


def _compare(db: Database, settings: ServerSettings, machine: Machine, seen: Found | None) -> None:
    if seen is not None and seen.alive:
        machines.started(db, machine, seen)
        _expect_join(db, settings, machine)
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


def _expect_join(db: Database, settings: ServerSettings, machine: Machine) -> None:
    since = machine.stages.accepted
    late = since is not None and now() - since > timedelta(seconds=settings.join_seconds)
    if machine.status is MachineStatus.booting and machine.stages.joined is None and late:
        machines.expect_join(db, machine, settings.join_seconds)


def _provider(db: Database, providers: Providers, machine: Machine) -> Provider:
    return providers[locations.provider_of(db, machine.workspace, machine.location)]
