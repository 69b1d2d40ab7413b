"""Where machines come from, and which type fits."""

from collections.abc import Sequence

from sqlalchemy import Connection

from amasia import errors
from amasia.database import locations as rows
from amasia.database.engine import Database
from amasia.models.locations import Location, Offer


def find(db: Database, workspace: str) -> list[Location]:
    with db.read() as tx:
        return rows.list_locations(tx, workspace)


def provider_of(db: Database, workspace: str, name: str) -> str:
    with db.read() as tx:
        return rows.provider_of(tx, workspace, name)


def refresh(db: Database, provider: str, offers: Sequence[Offer]) -> None:
    """Bring the price lists of every location of a provider up to date."""
    with db.write() as tx:
        for location in rows.every_location(tx):
            if location.provider == provider and location.offers != tuple(offers):
                rows.put_location(tx, location.model_copy(update={"offers": tuple(offers)}))


def choose(tx: Connection, workspace: str, name: str | None) -> Location:
    """The named location, or the workspace's first."""
    found = rows.list_locations(tx, workspace)
    if not found:
        raise errors.NotFound(f"The workspace {workspace!r} has no location.", cure="An admin can add one.")
    if name is None:
        return found[0]
    for location in found:
        if location.name == name:
            return location
    names = ", ".join(location.name for location in found)
    raise errors.NotFound(f"The workspace {workspace!r} has no location {name!r}.", cure=f"It has: {names}.")


def fit(location: Location, cpus: float, memory: int, what: str) -> Offer:
    """The cheapest type that is large enough. A type without a known price cannot be held to a budget."""
    priced = [offer for offer in location.offers if offer.price is not None]
    large = [offer for offer in priced if offer.cpus >= cpus and offer.memory >= memory]
    if large:
        return min(large, key=lambda offer: (offer.price, offer.memory, offer.cpus))
    if not priced:
        raise errors.TooLarge(
            f"Location {location.name!r} offers no machine with a known price.", cure="Set its price list."
        )
    most = max(priced, key=lambda offer: (offer.memory, offer.cpus))
    raise errors.TooLarge(
        f"{what} was asked with {cpus:g} cpus and {memory / 2**30:.1f} GiB, and no machine at {location.name!r} has "
        f"that: the largest, {most.type!r}, has {most.cpus:g} cpus and {most.memory / 2**30:.1f} GiB.",
        cure="Ask for less per worker, and for more workers.",
    )
