"""What a cloud's machine types cost: by the administrator's word, else by a dated list of our own, else unknown."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from amasia import errors
from amasia.models.locations import Offer
from amasia.models.machines import Machine

SYSTEM = 512 << 20
"""Bytes that the system and the agent keep for themselves."""


class Seed(NamedTuple):
    """What our own list says of a type."""

    price: int
    """Micro-dollars per hour on demand."""
    spot: int | None = None
    date: str = ""


class Market:
    """The offers of one location.

    Parameters
    ----------
    read
        Lists the types that the region has and one of the patterns names, without prices.
    types
        Patterns, such as ``n2-*``, in lower case.
    prices, spot_prices
        By type, in micro-units per hour: the administrator's word.
    seed
        Our own list.
    """

    def __init__(
        self,
        read: Callable[[], Iterable[Offer]],
        types: Sequence[str],
        prices: Mapping[str, int],
        spot_prices: Mapping[str, int],
        seed: Callable[[Offer], Seed | None],
    ) -> None:
        self.read, self.types, self.prices, self.spot_prices, self.seed = read, types, prices, spot_prices, seed
        self._known: dict[str, Offer] = {}

    def wants(self, name: str) -> bool:
        return any(fnmatchcase(name, wish) for wish in self.types)

    def offers(self) -> list[Offer]:
        """Every type with its prices, the cheapest first."""
        offers = [self._priced(offer) for offer in self.read()]
        self._known |= {offer.type: offer for offer in offers}
        return sorted(
            offers, key=lambda offer: (offer.gpus, offer.price is None, offer.price or 0, offer.memory, offer.type)
        )

    def get(self, name: str) -> Offer:
        """One type.

        Raises
        ------
        InvalidRequest
            The region, or every zone that is used there, lacks it.
        """
        if name not in self._known:
            self.offers()
        if name not in self._known:
            raise errors.InvalidRequest(
                f"The machine type {name!r} cannot be had in the zones of this location.",
                cure="See what can be had: amasia location show.",
            )
        return self._known[name]

    def missing(self) -> list[str]:
        """Patterns that nothing here answers to."""
        have = [offer.type for offer in self.offers()]
        return [wish for wish in self.types if not any(fnmatchcase(name, wish) for name in have)]

    def _priced(self, offer: Offer) -> Offer:
        seed = self.seed(offer)
        spot = self.spot_prices.get(offer.type, seed.spot if seed else None)
        if offer.type in self.prices:
            price: int | None = self.prices[offer.type]
            source = "the location's options"
        elif seed:
            price, source = seed.price, f"seed list of {seed.date}; compare with the cloud's"
        else:
            price, source = None, "unknown: give it in the options"
        return offer.model_copy(update={"price": price, "price_source": source, "spot_price": spot})


def in_order(machine: Machine, own: Offer) -> Iterator[tuple[Offer, bool]]:
    """The types to ask for, each with whether as spot: its own, then the others that would do.

    Where spot was wished, then on demand, if that costs no more than is reserved. ``own`` is the offer of the machine's
    type, as the market has it now.
    """
    offers = [own, *(offer for offer in machine.alternatives if offer.type != own.type)]
    yield from ((offer, machine.spot) for offer in offers)
    if machine.spot:
        yield from ((offer, False) for offer in offers if offer.price is not None and offer.price <= machine.price)
