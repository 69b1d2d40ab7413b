"""What is spent for nothing: each with what would be saved, and the one command that saves it."""

from enum import StrEnum

from amasia.models.base import Model, Name


class Kind(StrEnum):
    idle = "idle"
    """A cluster that nobody has work for."""
    workers = "workers"
    """More workers than the work needs: together they are busy for less than a fifth of the time."""
    memory = "memory"
    """Machines with far more memory than was ever used."""
    warm = "warm"
    """Machines kept warm that nobody takes."""
    storage = "storage"
    """Objects that no branch or tag can reach any more."""


class Waste(Model):
    kind: Kind
    subject: str
    """Cluster, location or repository."""
    text: str
    """What was seen."""
    saving: int
    """Micro-units, per hour of what runs, per month of 730 hours of storage."""
    per: str = "hour"
    command: str
    """That saves it."""
    owner: str = ""
    """Who can; empty for who manages the workspace."""

    @property
    def monthly(self) -> int:
        return self.saving * (730 if self.per == "hour" else 1)


class WasteReport(Model):
    workspace: Name
    currency: str
    hourly: int
    """What would be saved at once."""
    monthly: int
    """And of storage."""
    items: tuple[Waste, ...] = ()
    """The largest saving of a month first."""
