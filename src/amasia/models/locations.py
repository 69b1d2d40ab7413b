"""Where machines come from: a provider, a region, its price list, its limits."""

from amasia.models.base import Model, Name


class Offer(Model):
    """One machine type at one location."""

    type: Name
    cpus: float
    memory: int
    """Bytes."""
    price: int | None
    """Micro-units per hour; None where no price is known."""
    price_source: str = ""
    """Where the price comes from and when it was read."""


class Location(Model):
    workspace: Name
    name: Name
    provider: str
    region: str = "here"
    offers: tuple[Offer, ...] = ()
    max_machines: int = 64
