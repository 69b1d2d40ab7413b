"""Where a cluster's machines are to be, and why."""

from typing import Literal

from amasia.models.base import Model, Name
from amasia.models.locations import Arch, Offer
from amasia.models.sizes import GIB

Spot = Literal["no", "yes", "fallback"]
"""Whether a machine may be one that is taken back: never, only such, or such where there is one."""


class Wants(Model):
    """What one machine is to have."""

    cpus: float = 1
    memory: int = GIB
    gpus: int = 0
    arch: Arch = "x86_64"
    machine_types: tuple[str, ...] = ()
    """Only these; empty for any that is large enough."""
    spot: Spot = "no"


class Data(Model):
    """What is computed on, where it is, and what it costs to carry away from there."""

    name: str
    region: str
    nbytes: int
    egress_price: int | None = None
    """Micro-units per GiB that leaves the region; None where nobody knows."""

    def egress(self, region: str) -> int:
        """What it costs to read all of it once from another region; 0 where the price is unknown."""
        return 0 if region == self.region else (self.egress_price or 0) * self.nbytes // GIB


class Choice(Model):
    """One machine type, as it is asked for."""

    offer: Offer
    price: int
    """Micro-units per hour that are reserved: what it costs at most."""
    spot: Spot
    alternatives: tuple[Offer, ...] = ()


class Placement(Model):
    """A location and a type for each kind of machine, and the reason."""

    location: Name
    region: str
    why: str
    """One line for the person who pays."""
    egress: int = 0
    """Micro-units for reading all of the data once from there."""
    avoided: int = 0
    """Micro-units more that the most expensive location would have taken for that."""
