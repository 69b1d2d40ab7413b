"""Locations: looked at when they are registered or somebody asks, their prices brought up to date."""

from collections.abc import Sequence
from functools import partial

import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.locations import Finding, Location, LocationStatus, Offer
from amasia.providers.base import Provider, SupportsCheck
from amasia.reconcilers.fleets import Fleet
from amasia.services import locations

log = structlog.get_logger()

Opened = tuple[Location, Provider | errors.AmasiaError]


def check(db: Database, fleet: Fleet) -> None:
    """Look at every location that waits for it. One that does not answer delays only itself."""
    waiting = [item for item in fleet.every() if item[0].status is LocationStatus.requested]
    fleet.checking.run(waiting, lambda item: f"{item[0].workspace}/{item[0].name}", partial(_check, db))


def refresh_offers(db: Database, fleet: Fleet, only: str = "") -> None:
    """Bring the price lists of locations that are in use up to date; with ``only``, of one provider's."""
    for location, provider in fleet.every():
        if only and location.provider != only:
            continue
        if isinstance(provider, errors.AmasiaError) or location.status is not LocationStatus.ready:
            continue
        try:
            locations.offered(db, location, provider.offers())
        except errors.AmasiaError as error:
            log.warning("no price list", location=location.name, workspace=location.workspace, error=str(error))


def _check(db: Database, item: Opened) -> bool:
    location, provider = item
    findings, offers = _look(location, provider)
    locations.checked(db, location, findings, offers)
    return True


def _look(location: Location, provider: Provider | errors.AmasiaError) -> tuple[list[Finding], Sequence[Offer]]:
    if isinstance(provider, errors.AmasiaError):
        return [_refusal(location, provider)], ()
    try:
        findings = list(provider.check()) if isinstance(provider, SupportsCheck) else []
        offers = provider.offers()
    except errors.AmasiaError as error:
        return [_refusal(location, error)], ()
    except Exception as error:
        log.exception("location could not be looked at", location=location.name, workspace=location.workspace)
        return [
            _refusal(location, errors.Unavailable(f"Provider {provider.name!r} failed: {type(error).__name__}."))
        ], ()
    if not offers and all(finding.ok for finding in findings):
        findings.append(Finding(subject=location.name, what="it offers no machine", ok=False, cure="See its options."))
    return findings, offers


def _refusal(location: Location, error: errors.AmasiaError) -> Finding:
    return Finding(subject=location.name, what=error.message.rstrip("."), ok=False, cure=error.cure)
