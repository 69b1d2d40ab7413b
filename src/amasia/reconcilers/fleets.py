"""The providers of all locations: opened when first needed and when a location changes; and who works with them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock

import structlog

from amasia import errors
from amasia.database.engine import Database
from amasia.models.locations import Location, Place
from amasia.providers import registry
from amasia.providers.base import Provider
from amasia.reconcilers.hands import Hands
from amasia.reconcilers.lanes import Lanes
from amasia.services import locations

log = structlog.get_logger()

Opened = tuple[Place, Provider]


class Fleet:
    """Finds the provider of a location.

    Parameters
    ----------
    ready
        Providers that serve every location of their name and were put together already: the local one.
    home
        Below it each location has a directory for what its provider keeps.
    url
        Of the control plane, as machines see it where their location says nothing else.
    """

    def __init__(
        self,
        db: Database,
        home: Path,
        ready: dict[str, Provider],
        open_place: Callable[[str, Place], Provider] = registry.open_place,
        url: str = "",
    ) -> None:
        self.db, self.home, self.ready, self.url = db, home, ready, url
        self.hands, self.checking, self.watching, self.sweeping = Hands(), Lanes(), Lanes(), Lanes()
        self._open_place = open_place
        self._plane = db.keys.plane()
        self._opened: dict[tuple[str, str], Opened] = {}
        self._lock = Lock()

    def every(self) -> Iterator[tuple[Location, Provider | errors.AmasiaError]]:
        """Each location with its provider, or with why it has none."""
        for location, secrets in locations.every(self.db):
            try:
                found: Provider | errors.AmasiaError = self._provider(location, secrets)
            except errors.AmasiaError as error:
                found = error
            except Exception as error:  # a provider's mistake about one location is no reason to leave all others
                log.exception("location cannot be opened", location=location.name, workspace=location.workspace)
                found = errors.Unavailable(f"Provider {location.provider!r} failed: {type(error).__name__}.")
            yield location, found

    def by_location(self) -> dict[tuple[str, str], Provider | errors.AmasiaError]:
        """By workspace and name."""
        return {(location.workspace, location.name): provider for location, provider in self.every()}

    def _provider(self, location: Location, secrets: dict[str, str]) -> Provider:
        if location.provider in self.ready:
            return self.ready[location.provider]
        place = Place(
            workspace=location.workspace,
            name=location.name,
            region=location.region,
            plane=self._plane,
            options=location.options,
            secrets=secrets,
            control_plane=location.control_plane or self.url,
            private_endpoints=location.private_endpoints,
            home=self.home / location.workspace / location.name,
        )
        with self._lock:
            key = (location.workspace, location.name)
            opened = self._opened.get(key)
            if opened is None or opened[0] != place:
                opened = self._opened[key] = (place, self._open_place(location.provider, place))
            return opened[1]
